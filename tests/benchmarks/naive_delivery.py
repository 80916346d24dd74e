"""The peer of the delivery benchmark: one Celery message and one task for each delivery.

As most projects do it, and fairly so: one HTTP client kept alive per process, no event, no order
between a task's changes, no cap per destination, no lease.
"""

import time

import django
import httpx
from celery import Celery

django.setup()

from tasks_app.connectors.webhook import webhook_body  # noqa: E402
from tasks_app.events.wire import event_to_wire, message_id  # noqa: E402
from tasks_app.models import Attempt, Delivery, Event  # noqa: E402
from tasks_app.models.sealed import open_secret  # noqa: E402
from tasks_app.security.signing import sign  # noqa: E402

app = Celery("naive")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = {}
client = httpx.Client(timeout=15)


@app.task(name="naive.deliver", ignore_result=True)  # type: ignore[untyped-decorator]
def deliver(delivery_id: str) -> None:
    """Send one delivery and save what came of it."""
    row = Delivery.objects.select_related("destination").get(pk=delivery_id)
    there = row.destination
    event = Event.objects.get(workspace_id=row.workspace_id, seq=row.event_seq)
    body = webhook_body(event_to_wire(event))
    name, now = message_id(row.message_id), int(time.time())
    secret = open_secret(destination_id=there.pk, sealed=there.sealed_secret)
    signature = sign(secrets=[secret], message_id=name, timestamp=now, body=body)
    headers = {
        "webhook-id": name,
        "webhook-timestamp": str(now),
        "webhook-signature": signature,
        "content-type": "application/json",
    }
    answer = client.post(there.url, content=body, headers=headers)
    row.state, row.status_code, row.attempts = "succeeded", answer.status_code, 1
    row.ended_at = event.at
    row.save(update_fields=["state", "status_code", "attempts", "ended_at"])
    Attempt.objects.create(
        delivery=row,
        number=1,
        started_at=event.at,
        duration_ms=answer.elapsed.total_seconds() * 1000,
        status_code=answer.status_code,
        response_excerpt=answer.text[:2048],
    )
