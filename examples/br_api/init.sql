-- mariadbd runs this at each start, before it takes connections (init-file in my.cnf): nothing to do by hand.
CREATE DATABASE IF NOT EXISTS br_api CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS 'br_api'@'localhost' IDENTIFIED BY 'br_api';
GRANT ALL PRIVILEGES ON br_api.* TO 'br_api'@'localhost';
