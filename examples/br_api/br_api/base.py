"""Settings that development and production share."""

import os
from pathlib import Path

from redis.backoff import ExponentialBackoff
from redis.retry import Retry

# The folder with everything: code, configuration of the servers, static and media files.
BASE_DIR = Path(__file__).resolve().parent.parent

INSTALLED_APPS = ["django.contrib.staticfiles", "visits"]
MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "br_api.urls"
WSGI_APPLICATION = "br_api.wsgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "NAME": "br_api",
        # Socket, user and password stand in the group [client], where the command `mariadb` finds them too.
        "OPTIONS": {
            "read_default_file": str(BASE_DIR / "my.cnf"),
            "charset": "utf8mb4",
            "connect_timeout": 2,
        },
        # A connection lives through many requests, and through a restart of the server: the first request
        # after it finds the connection dead and makes a new one.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": os.environ.get("REDIS_URL", "redis://:12345@127.0.0.1:6380/0"),
        # Tries for about half a second, which is longer than Redis needs to come back with little data.
        # redis-py's own default goes on for seconds, while requests pile up.
        "OPTIONS": {
            "socket_connect_timeout": 1,
            "socket_timeout": 1,
            "retry": Retry(ExponentialBackoff(cap=0.2, base=0.02), 5),
        },
    }
}

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static"
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "media"

USE_TZ = True
TIME_ZONE = "UTC"

# To stderr, which is uWSGI's log: without this Django reports errors by mail only, once DEBUG is off.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
