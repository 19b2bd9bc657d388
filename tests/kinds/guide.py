"""The configuration files of the deployment guide, as they stand there."""

SERVER_BLOCK = """\
server {
    listen 80;
    server_name 127.0.0.1;
    charset     utf-8;
    access_log      /home/project/br_api/nginx_access.log;
    error_log       /home/project/br_api/nginx_error.log;
    client_max_body_size 75M;
    location /static { alias /home/project/br_api/static; }
    location /media  { alias /home/project/br_api/media; }
    location / {
        root        /home/project/br_api;
        include     /usr/local/nginx/conf/uwsgi_params;
        uwsgi_pass  127.0.0.1:8001;
    }
}
"""

# The stock nginx.conf of nginx 1.13, its comments shortened, with the server block of the project.
NGINX_CONF = f"""\
#user  nobody;
worker_processes  1;

#error_log  logs/error.log;
#pid        logs/nginx.pid;

events {{
    worker_connections  1024;
}}

http {{
    include       mime.types;
    default_type  application/octet-stream;

    #access_log  logs/access.log  main;

    sendfile        on;
    #tcp_nopush     on;
    keepalive_timeout  65;

{SERVER_BLOCK}
}}
"""

MIME_TYPES = """\
types {
    text/html                             html htm shtml;
    text/css                              css;
}
"""

UWSGI_PARAMS = """\
uwsgi_param  QUERY_STRING       $query_string;
uwsgi_param  REQUEST_METHOD     $request_method;
"""

UWSGI_INI = """\
[uwsgi]
socket = 127.0.0.1:8001
chdir=/home/project/br_api
module=br_api.wsgi:application
master = true
processes=2
threads=2
max-requests=2000
chmod-socket=664
vacuum=true
daemonize = /home/project/br_api/uwsgi.log
"""

# The lines of redis.conf 5.0.5 that are no comments and that matter here, with the guide's two changes.
REDIS_CONF = """\
bind 127.0.0.1
protected-mode yes
port 6379
tcp-backlog 511
daemonize yes
supervised no
pidfile /var/run/redis_6379.pid
loglevel notice
logfile ""
databases 16
save 900 1
save 300 10
dbfilename dump.rdb
dir ./
requirepass '12345'
"""

# What the package of MySQL 5.7 installs on CentOS 7.
MY_CNF = """\
# For advice on how to change settings please see
# http://dev.mysql.com/doc/refman/5.7/en/server-configuration-defaults.html

[mysqld]
datadir=/var/lib/mysql
socket=/var/lib/mysql/mysql.sock

# Disabling symbolic-links is recommended to prevent assorted security risks
symbolic-links=0

log-error=/var/log/mysqld.log
pid-file=/var/run/mysqld/mysqld.pid
"""
