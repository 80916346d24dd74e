"""What clients say, read without doing anything: pure functions from a text to a request."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import orjson

from realtime.filter import BadFilter, Filter, parse_filter
from realtime.frames import Frame

PONG = Frame({"type": "pong"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer with this, and that was all."""

    frame: Frame


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Replace the filter."""

    wanted: Filter | None


@dataclass(frozen=True, slots=True)
class Renew:
    """Prove who you are again, in place."""

    ticket: str


Request = Answer | Subscribe | Renew


def error(code: str, detail: str) -> Frame:
    """Return the frame that refuses a message; the connection stays."""
    return Frame({"type": "error", "code": code, "detail": detail})


def read_text(text: str) -> Request:
    """Understand one text; whatever is not a JSON object comes back as an echo."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        message = None
    if not isinstance(message, dict):
        return Answer(Frame({"type": "echo", "message": text}))
    return _read_object(message)


def read_binary() -> Request:
    """Refuse a binary message."""
    return Answer(error("binary_not_supported", "Only text messages are understood."))


def _read_object(message: dict[str, Any]) -> Request:
    match message.get("type"):
        case "ping":
            return Answer(PONG)
        case "echo":
            return Answer(Frame({"type": "echo", "message": message.get("message")}))
        case "subscribe":
            return _read_subscribe(message)
        case "authenticate":
            return _read_authenticate(message)
        case _:
            known = "ping, echo, subscribe, authenticate"
            return Answer(error("unknown_type", f"The type must be one of {known}."))


def _read_subscribe(message: dict[str, Any]) -> Request:
    criteria = {name: value for name, value in message.items() if name != "type"}
    try:
        return Subscribe(parse_filter(criteria))
    except BadFilter as refusal:
        return Answer(error("bad_filter", str(refusal)))


def _read_authenticate(message: dict[str, Any]) -> Request:
    ticket = message.get("ticket")
    if not isinstance(ticket, str):
        return Answer(error("bad_ticket", "authenticate needs a ticket."))
    return Renew(ticket)


class Rate:
    """Counts messages in any window of one second."""

    def __init__(self, most: int) -> None:
        self._moments: deque[float] = deque(maxlen=most)

    def exceeded(self, now: float) -> bool:
        """Count one message; tell whether it is one too many."""
        moments = self._moments
        full = len(moments) == moments.maxlen and now - moments[0] < 1
        moments.append(now)
        return full
