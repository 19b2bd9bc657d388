"""Settings for development."""

from br_api.base import *  # noqa: F403

DEBUG = True
SECRET_KEY = "only-for-development"  # noqa: S105
ALLOWED_HOSTS = ["*"]
