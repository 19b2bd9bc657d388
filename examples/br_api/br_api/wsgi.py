"""What uWSGI calls: `module=br_api.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "br_api.dev")

application = get_wsgi_application()
