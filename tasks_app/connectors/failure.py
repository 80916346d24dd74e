"""The names of all that can go wrong on the way out, in one place.

DoorFailure
└── carries an `ErrorCode`, the `Phase` it happened in and the time spent in each phase
"""

from collections.abc import Mapping
from enum import StrEnum

RawHeaders = tuple[tuple[bytes, bytes], ...]


class Phase(StrEnum):
    """Where an attempt was; `Outcome.phases` has milliseconds for each one that was reached."""

    AUTH = "auth"  # getting an OAuth token, and what was sent before it was known to be stale
    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    SEND = "send"
    HEADERS = "headers"
    BODY = "body"


class ErrorCode(StrEnum):
    """Every `Outcome.error` there is. Stable: clients filter by them."""

    NONE = ""
    DNS_FAILED = "dns_failed"
    DNS_TIMEOUT = "dns_timeout"
    ADDRESS_REFUSED = "address_refused"  # an inside target, or a URL we never send to
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_FAILED = "connect_failed"  # no route, network down
    TLS_FAILED = "tls_failed"
    TLS_TIMEOUT = "tls_timeout"
    SEND_TIMEOUT = "send_timeout"
    HEADERS_TIMEOUT = "headers_timeout"
    BODY_TIMEOUT = "body_timeout"
    CONNECTION_RESET = "connection_reset"  # also: closed before or inside the answer
    PROTOCOL_ERROR = "protocol_error"  # the answer is not HTTP, or breaks a limit
    AUTH_FAILED = "auth_failed"  # no OAuth token was to be had
    HTTP_3XX = "http_3xx"
    HTTP_4XX = "http_4xx"
    HTTP_5XX = "http_5xx"
    PROXY_FAILED = "proxy_failed"  # ours: OUTBOUND_PROXY is away, or refuses us
    SMTP_4XX = "smtp_4xx"
    SMTP_5XX = "smtp_5xx"
    TWIN_ID_MISSING = "twin_id_missing"  # created, but the answer does not tell its id
    MAPPING_FAILED = "mapping_failed"
    FAULT = "fault"


class DoorFailure(Exception):
    """The request got no complete answer.

    `phases` holds milliseconds; `status_code` is set where the headers arrived and the body did
    not. `ours` says that this process is to blame (no file descriptors, a defect), not the peer.
    `raw_headers` are those of a token endpoint that refused, which may ask for time in them.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        *,
        phase: Phase,
        phases: Mapping[str, float] | None = None,
        duration_ms: float = 0.0,
        status_code: int | None = None,
        ours: bool = False,
        raw_headers: RawHeaders = (),
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.phase = phase
        self.phases = phases or {}
        self.duration_ms = duration_ms
        self.status_code = status_code
        self.ours = ours
        self.raw_headers = raw_headers
