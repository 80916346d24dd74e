"""The only package that touches an HTTP library: the Door, and its face for httpx."""

from tasks_app.connectors.failure import DoorFailure
from tasks_app.connectors.headers import BadHeader, vet_headers
from tasks_app.connectors.http.door import ANSWER_BYTES, Answer, Door
from tasks_app.connectors.http.transport import GuardedTransport

__all__ = [
    "ANSWER_BYTES",
    "Answer",
    "BadHeader",
    "Door",
    "DoorFailure",
    "GuardedTransport",
    "vet_headers",
]
