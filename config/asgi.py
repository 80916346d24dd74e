"""The ASGI door: the stream's addresses, and Django for all else (runserver)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
django_application = get_asgi_application()  # before realtime: it loads the models

from django.conf import settings  # noqa: E402

from realtime.routing import stream_application  # noqa: E402
from tasks_app.api.arriving import with_arriving_uploads  # noqa: E402
from tasks_app.api.seats import with_seats  # noqa: E402
from tasks_app.api.small_bodies import SmallBodies  # noqa: E402

seated = with_seats(django_application)

application = stream_application(
    otherwise=with_arriving_uploads(
        seated,
        path="/api/v1/imports/",
        otherwise=SmallBodies(seated, limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE),
    )
)
