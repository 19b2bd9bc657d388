"""The example site: Django with MySQL and Redis, deployed the way most people deploy by hand."""

import pymysql

# Django's MySQL backend imports MySQLdb; PyMySQL answers to that name.
pymysql.install_as_MySQLdb()
