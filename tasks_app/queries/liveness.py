"""Which workers and beats have shown themselves lately."""

from datetime import timedelta
from typing import Final

from django.db.models import Count
from django.db.models.functions import Now

from tasks_app.models import ProcessBeat

SILENCE: Final = timedelta(seconds=6)


def living_processes() -> dict[str, int]:
    """Return how many of each kind (``worker``, ``beat``) were seen in the last 6 s."""
    seen = ProcessBeat.objects.filter(seen_at__gt=Now() - SILENCE)
    return dict(seen.values_list("kind").annotate(Count("name")).order_by())
