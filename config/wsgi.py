"""The WSGI door of `api` (granian)."""

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from tasks_app.api.whole_body import with_whole_bodies
from tasks_app.observability.metric_report import report_as

application = with_whole_bodies(get_wsgi_application(), limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

report_as("api").start()
gc.collect()
gc.freeze()  # what is loaded by now stays: no full collection need walk it during a request
