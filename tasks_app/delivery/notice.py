"""What is told of destinations: the events, and the mails to owners that wait to be sent.

Both are written in the transaction of what they tell of, so neither is lost and neither is told
of what was rolled back. `delivery/post.py` sends the mails later.
"""

from collections.abc import Iterable, Sequence

from tasks_app.delivery.breaker import Opened
from tasks_app.events.catalogue import EventType
from tasks_app.events.cause import system
from tasks_app.events.record import NewEvent
from tasks_app.events.snapshot import destination_snapshot
from tasks_app.models import Destination, Notice, NoticeKind


def paused_events(paused: Sequence[Destination]) -> list[NewEvent]:
    """Return the events of destinations that were paused; leave a notice for each."""
    _leave((one, NoticeKind.AUTO_PAUSED, one.paused_reason) for one in paused)
    return [_event(one, EventType.DESTINATION_AUTO_PAUSED, "delivery") for one in paused]


def opened_events(opened: Sequence[Opened]) -> list[NewEvent]:
    """Return the events of circuits that opened; leave a notice where it is time for one."""
    _leave((one.destination, NoticeKind.CIRCUIT_OPENED, one.error) for one in opened if one.by_mail)
    return [
        _event(one.destination, EventType.DESTINATION_CIRCUIT_OPENED, "delivery", error=one.error)
        for one in opened
    ]


def recovered_events(
    recovered: Sequence[Destination], by_mail: Sequence[Destination]
) -> list[NewEvent]:
    """Return the events of destinations that are up again; leave a notice for those mailed of."""
    _leave((one, NoticeKind.RECOVERED, "") for one in by_mail)
    return [_event(one, EventType.DESTINATION_RECOVERED, "sweep") for one in recovered]


def _leave(told: Iterable[tuple[Destination, NoticeKind, str]]) -> None:
    notices = [
        Notice(workspace_id=one.workspace_id, destination_id=one.pk, kind=kind, detail=detail[:300])
        for one, kind, detail in told
    ]
    if notices:
        Notice.objects.bulk_create(notices)


def _event(one: Destination, kind: EventType, who: str, **data: str) -> NewEvent:
    return NewEvent(
        workspace_id=one.workspace_id,
        type=kind,
        cause=system(who),
        data={"destination": destination_snapshot(one), **data},
    )
