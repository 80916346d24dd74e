"""Letting a client in: who it is and where its log ends, in one visit to the database."""

from realtime.auth import Credentials, Refused, authenticate
from realtime.close_codes import NO_WORKSPACE
from realtime.cursor import Head
from realtime.feed import read_heads
from tasks_app.queries.principal import Principal


def admit(credentials: Credentials) -> tuple[Principal, Head]:
    """Return the principal and the head of its log; raises Refused. Synchronous."""
    principal = authenticate(credentials)
    head = read_heads([principal.workspace_id]).get(principal.workspace_id)
    if head is None:
        raise Refused(NO_WORKSPACE)
    return principal, head
