"""What every connector is given and must answer, so that the engine knows none of them by name.

An `Envelope` holds everything one attempt needs as plain values; an `Outcome` holds everything the
engine may write down about it. A connector turns the first into the second and never raises.
docs/adding-a-connector.md shows how to write a further one.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, ClassVar, Final

from tasks_app.connectors.failure import ErrorCode, Phase
from tasks_app.connectors.http import Door
from tasks_app.connectors.twin import Twin, TwinNote
from tasks_app.connectors.way_out import WayOut

__all__ = [
    "Connector",
    "Door",
    "Envelope",
    "ErrorCode",
    "Outcome",
    "Phase",
    "Twin",
    "TwinNote",
    "Verdict",
    "WayOut",
]

HTTP: Final = "http"
OPTIONS: Final = frozenset({"headers", "auth", "tls", "signature", "mapping"})
EXCERPT_BYTES: Final = 2_048
"""How much of an answer an attempt keeps."""


class Verdict(StrEnum):
    """What the attempt means for its delivery."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  # the destination's doing: spends the retry schedule
    GONE = "gone"  # 410: the destination asks to be left alone
    FAULT = "fault"  # our doing: spends nothing
    STEP = "step"  # what had to come first is done: it goes on at once and spends nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Everything one attempt needs. What may hold a secret stays out of its repr."""

    message_id: str
    """`webhook-id`, "msg_<hex>": the same for every attempt, also sent as `Idempotency-Key`."""
    attempt: int
    sequence: int
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """`whsec_…`: the current one first, overlapping old ones after."""
    body: bytes = field(default=b"", repr=False)
    """Signed and sent as it is, byte for byte; made by `Connector.prepare`."""
    timeout: float
    """Seconds for the whole attempt: DNS, connect, TLS, headers and body."""
    traceparent: str = ""
    replay: str = ""
    """`webhook-replay`: what sent it once more, out of its order. Empty for what goes its way."""
    ahead: float = 0.0
    """Seconds by which the right time is ahead of this machine's clock."""
    event: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The event as the API shows it."""
    mapping: str = ""
    """What makes the body of the event: a JMESPath expression, or nothing."""
    twin: Twin | None = field(default=None, repr=False)
    """Only for connectors that mirror, and only for events of tasks."""
    twin_id_path: str = ""
    """Where in the answer the id of a new twin stands: a JMESPath expression."""
    idempotency_key: str = ""
    """In place of `message_id`, where several deliveries stand for one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one attempt ended."""

    verdict: Verdict
    status_code: int | None = None
    error: ErrorCode = ErrorCode.NONE
    detail: str = ""
    """One sentence for an operator, without secrets and without inside addresses."""
    failed_phase: str = ""
    phases: Mapping[str, float]
    """Milliseconds spent in each phase that was reached."""
    duration_ms: float
    retry_after: float | None = None
    """Seconds from now that the destination asked for, capped at 24 h."""
    excerpt: str = ""
    """The first 2 KiB of the answer as text, free of NUL."""
    twin: TwinNote | None = None
    """What to keep about the task's twin, whatever the verdict."""


class Connector(ABC):
    """One way to speak to the outside. What it is made of says what its destinations may set."""

    kind: ClassVar[str]
    methods: ClassVar[tuple[str, ...]] = ("POST",)
    """What `method` may be, the default first; none where it means nothing."""
    options: ClassVar[frozenset[str]] = OPTIONS
    """Which optional fields of a destination it heeds; others are refused when saved."""
    scheme: ClassVar[str] = HTTP
    """What its addresses begin with: "http" is for the Door, which takes https as well."""
    content_type: ClassVar[str] = "application/json"
    """Of what `compose` makes."""
    mirrors: ClassVar[bool] = False
    """Whether each attempt comes with the task as it is now and its twin."""

    @abstractmethod
    def compose(self, event: Mapping[str, Any], *, mapping: str = "") -> bytes:
        """Build the body for an event; `mapping` is a JMESPath expression, or empty.

        Raises tasks_app.connectors.mapping.MappingError.
        """

    def prepare(self, envelope: Envelope) -> Envelope:
        """Return the envelope as it is to be sent. Raises as `compose` does."""
        return replace(envelope, body=self.compose(envelope.event, mapping=envelope.mapping))

    @abstractmethod
    async def send(self, envelope: Envelope, *, door: WayOut) -> Outcome:
        """Make one attempt. Raises nothing but `asyncio.CancelledError`."""

    def check_address(self, url: str) -> None:
        """Check an address. Raises ValueError with a sentence.

        What is for the Door is vetted before, as it is again whenever something is sent.
        """
        scheme = url.partition(":")[0].lower()
        if scheme.removesuffix("s") != self.scheme:
            raise ValueError(f"The address of a {self.kind} begins with {self.scheme}:.")
