"""The ASGI door: the stream's addresses, and Django for all else (runserver)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
django_application = get_asgi_application()  # before realtime: it loads the models

from realtime.routing import stream_application  # noqa: E402
from tasks_app.api.arriving import with_arriving_uploads  # noqa: E402

application = stream_application(
    otherwise=with_arriving_uploads(django_application, path="/api/v1/imports/")
)
