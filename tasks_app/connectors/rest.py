"""The REST mirror: a twin of each task in a plain REST resource, always in its latest state.

Create is `POST url`, and the twin's id is read from the answer; change is `PUT` or `PATCH
url/{id}`; delete is `DELETE url/{id}`. One request an attempt: where two are needed (a twin that
is gone is created anew, one whose creation was in doubt is changed after), the first is a step.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final
from urllib.parse import quote

import orjson

from tasks_app.connectors.base import (
    OPTIONS,
    Connector,
    Envelope,
    ErrorCode,
    Outcome,
    Phase,
    Verdict,
    WayOut,
)
from tasks_app.connectors.http import Answer
from tasks_app.connectors.mapping import MappingError, evaluate, mapped
from tasks_app.connectors.twin import (
    DELETED,
    GONE,
    Step,
    Twin,
    TwinNote,
    next_step,
    told,
    version_of,
)
from tasks_app.connectors.webhook import attempt, judged
from tasks_app.security.masking import MASK

ID_LENGTH: Final = 200
_NOT_THERE: Final = frozenset({404, 410})
_UNDECIDED: Final = frozenset({408, 409, 425, 429})
"""Refusals that leave open what became of the request before."""
_BEFORE_SENDING: Final = frozenset({Phase.AUTH, Phase.DNS, Phase.CONNECT, Phase.TLS})


class RestConnector(Connector):
    """Keeps the twins. Signed as a webhook is; whoever wants may check that."""

    kind: ClassVar[str] = "rest"
    methods: ClassVar[tuple[str, ...]] = ("PUT", "PATCH")
    options: ClassVar[frozenset[str]] = OPTIONS | {"twin_id_path"}
    mirrors: ClassVar[bool] = True

    def compose(self, event: Mapping[str, Any], *, mapping: str = "") -> bytes:
        """Build what a twin is made of: the task without `sync`, or what the mapping makes."""
        if mapping:
            return mapped(mapping, event)
        task = event.get("task", {})
        return orjson.dumps({name: value for name, value in task.items() if name != "sync"})

    def prepare(self, envelope: Envelope) -> Envelope:
        """Return the one request that is next. Raises as `compose` does."""
        twin, step = envelope.twin, _step(envelope)
        if twin is None:
            return replace(envelope, method="GET")
        if step is Step.NOTHING:
            return envelope
        if step is Step.DELETE:
            return replace(envelope, method="DELETE", url=twin_url(envelope.url, twin.remote_id))
        body = self.compose(told(envelope.event, twin), mapping=envelope.mapping)
        if step is Step.CREATE:
            return replace(envelope, method="POST", body=body, idempotency_key=twin.key)
        return replace(envelope, url=twin_url(envelope.url, twin.remote_id), body=body)

    async def send(self, envelope: Envelope, *, door: WayOut) -> Outcome:
        """Make one attempt. Raises nothing but `asyncio.CancelledError`."""
        twin, step = envelope.twin, _step(envelope)
        if twin is None:
            return await attempt(envelope, door=door)
        if step is Step.NOTHING:
            return _nothing(envelope, twin)
        judge = {Step.CREATE: _created, Step.CHANGE: _changed, Step.DELETE: _deleted}[step]
        outcome = await attempt(envelope, door=door, judge=partial(judge, twin))
        if step is Step.CREATE and not twin.is_in_doubt and _made_nothing(outcome):
            return replace(outcome, twin=GONE)
        return outcome


def twin_url(url: str, remote_id: str) -> str:
    """Return `url/{id}`, with a slash after it where the resource has one; queries stay."""
    base, mark, query = url.partition("?")
    slash = "/" if base.endswith("/") else ""
    return f"{base.rstrip('/')}/{quote(remote_id, safe='')}{slash}{mark}{query}"


def _step(envelope: Envelope) -> Step:
    return next_step(envelope.event, envelope.twin, again=bool(envelope.replay))


def _nothing(envelope: Envelope, twin: Twin) -> Outcome:
    """Succeed without a request: what this delivery would bring about is so already."""
    note, detail = None, f"The twin shows version {twin.version} already."
    if envelope.event["type"] == DELETED:
        note, detail = GONE, "There is no twin to delete."
    elif twin.task is None:
        detail = "The task has been deleted since."
    return Outcome(verdict=Verdict.SUCCEEDED, detail=detail, twin=note, phases={}, duration_ms=0.0)


def _created(twin: Twin, answer: Answer, envelope: Envelope) -> Outcome:
    outcome = judged(answer, envelope)
    if outcome.verdict is not Verdict.SUCCEEDED:
        return outcome
    try:
        remote_id = _read_id(answer, envelope.twin_id_path)
    except MappingError as error:
        return replace(
            outcome,
            verdict=Verdict.FAILED,
            error=ErrorCode.TWIN_ID_MISSING,
            detail=f"It was created, but its id is not known: {error}",
        )
    # Of two tries with different states the receiver may have taken the first.
    version = version_of(twin.first)
    is_done = envelope.event["type"] != DELETED and version >= version_of(envelope.event)
    verdict = Verdict.SUCCEEDED if is_done else Verdict.STEP
    return replace(outcome, verdict=verdict, twin=TwinNote(remote_id=remote_id, version=version))


def _changed(twin: Twin, answer: Answer, envelope: Envelope) -> Outcome:
    outcome = judged(answer, envelope)
    if answer.status in _NOT_THERE:
        detail = f"The destination answered {answer.status}: the twin is created anew."
        return replace(outcome, verdict=Verdict.STEP, detail=detail, twin=GONE)
    if outcome.verdict is not Verdict.SUCCEEDED or twin.task is None:
        return outcome
    version = int(twin.task["version"])
    return replace(outcome, twin=TwinNote(remote_id=twin.remote_id, version=version))


def _deleted(_twin: Twin, answer: Answer, envelope: Envelope) -> Outcome:
    outcome = judged(answer, envelope)
    if answer.status in _NOT_THERE:
        outcome = replace(
            outcome,
            verdict=Verdict.SUCCEEDED,
            error=ErrorCode.NONE,
            detail=f"The destination answered {answer.status}: it was gone already.",
            retry_after=None,
        )
    return replace(outcome, twin=GONE) if outcome.verdict is Verdict.SUCCEEDED else outcome


def _made_nothing(outcome: Outcome) -> bool:
    """Tell whether a failed try at creating surely left nothing behind."""
    if outcome.verdict in (Verdict.SUCCEEDED, Verdict.STEP):
        return False
    if outcome.status_code is None:
        return outcome.failed_phase in _BEFORE_SENDING
    return 400 <= outcome.status_code < 500 and outcome.status_code not in _UNDECIDED


def _read_id(answer: Answer, path: str) -> str:
    """Return the new twin's id. Raises MappingError."""
    if not answer.is_whole:
        raise MappingError("the answer is larger than 64 KiB.")
    try:
        found = evaluate(path, orjson.loads(answer.body))
    except orjson.JSONDecodeError as error:
        raise MappingError("the answer is not JSON.") from error
    if isinstance(found, bool) or not isinstance(found, str | int):
        raise MappingError("there is no text and no whole number at twin_id_path.")
    text = str(found)
    if not text.isprintable() or not 0 < len(text) <= ID_LENGTH or text in {".", ".."}:
        raise MappingError("what is at twin_id_path can't be part of an address.")
    if MASK in text:
        raise MappingError("what is at twin_id_path repeats a header or a secret of ours.")
    return text
