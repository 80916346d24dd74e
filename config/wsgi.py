"""The WSGI door of `api` (granian)."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from tasks_app.api.whole_body import with_whole_bodies

application = with_whole_bodies(get_wsgi_application(), limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

gc.collect()
gc.freeze()  # what is loaded by now stays: no full collection need walk it during a request
