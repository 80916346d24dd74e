"""A task's twin: the resource that stands for it at a destination, and what is next to do to it.

A create whose answer got lost may have arrived. It is then *in doubt*, and every further try at
creating this task's twin has the same idempotency key, also one of a later delivery, until an
answer tells. Only what surely made nothing (a refusal, a connection that never stood) and the end
of a twin begin a new *generation*, and with it a new key.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

DELETED, PING = "task_deleted", "ping"


class Step(StrEnum):
    """What one attempt does."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    NOTHING = "nothing"
    LOOK = "look"  # a ping: nothing is written


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """What was known of a twin when its delivery was leased."""

    remote_id: str = ""
    """As the receiver calls it; empty where there is none, or none that we know of."""
    version: int = 0
    """The version of the task that the receiver last took."""
    key: str = ""
    """The `Idempotency-Key` of every try at creating this generation of it."""
    tries: int = 0
    """How often that was tried before."""
    first: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """While it is being created: the event, with its task, as it was when that was first tried."""
    task: Mapping[str, Any] | None = field(default=None, repr=False)
    """The task as it is now; None once it is deleted."""

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether an earlier try at creating it may have arrived."""
        return self.tries > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinNote:
    """What to write down of a twin: its id and the version it shows; without an id it is gone."""

    remote_id: str = ""
    version: int = 0


GONE = TwinNote()


def next_step(event: Mapping[str, Any], twin: Twin | None, *, again: bool = False) -> Step:
    """Return what a delivery of this event has to do; `again` sends what was sent before.

    Raises ValueError without a twin, except for a ping.
    """
    if event["type"] == PING:
        return Step.LOOK
    if twin is None:
        raise ValueError("a task's event without what is known of its twin")
    if event["type"] == DELETED:
        if twin.remote_id:
            return Step.DELETE
        # The twin that may be there has an id which only its creation's answer tells.
        return Step.CREATE if twin.is_in_doubt else Step.NOTHING
    if twin.task is None:
        return Step.NOTHING
    if not twin.remote_id:
        return Step.CREATE
    is_shown = version_of(event) <= twin.version
    return Step.NOTHING if is_shown and not again else Step.CHANGE


def told(event: Mapping[str, Any], twin: Twin) -> Mapping[str, Any]:
    """Return the event that an attempt tells of: with the task as it is now.

    While a creation is in doubt, it is the first try's, byte for byte: a receiver that compares
    the bodies of one key (as the IETF draft says) then answers as it did. Every other try has the
    task as it is now, so that a state which the receiver can't take does not stay in the way.
    """
    if not twin.remote_id and twin.first and (twin.task is None or twin.tries % 2 == 1):
        return twin.first
    return {**event, "task": twin.task} if twin.task is not None else event


def version_of(event: Mapping[str, Any]) -> int:
    """Return the version of the task that an event tells of."""
    return int(event.get("task", {}).get("version", 0))


def creation_key(*, destination: str, task: str, generation: int) -> str:
    """Return the `Idempotency-Key` of every try at creating this generation of a twin."""
    name = f"{destination}:{task}:{generation}"
    return f"twin_{hashlib.sha256(name.encode()).hexdigest()[:32]}"
