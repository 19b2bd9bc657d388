"""Settings for production."""

import os

from br_api.base import *  # noqa: F403
from br_api.base import BASE_DIR

DEBUG = False
SECRET_KEY = (BASE_DIR / "secret_key").read_text().strip()
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost 127.0.0.1 [::1]").split()
