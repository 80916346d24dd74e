"""Every refusal of the domain, each with a stable code; the API maps them to problem+json.

Refusal
├── NotFound              404  not_found            (also: exists, but in another workspace)
├── Unauthenticated       401  unauthenticated
├── Forbidden             403  forbidden
├── Invalid               400  invalid              (errors: pointer, code, detail)
├── StaleVersion          412  stale_version
├── Conflict              409  conflict
│   ├── NotRetryable      409  not_retryable
│   ├── NotCancellable    409  not_cancellable
│   └── ReplayOver        409  replay_over
└── TooLarge              413  too_large
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one place of the input; pointer is an RFC 6901 JSON pointer."""

    pointer: str
    code: str
    detail: str


class Refusal(Exception):
    """The domain will not do this. The docstring's first line is the default detail."""

    code: ClassVar[str] = "refused"
    status: ClassVar[int] = 400

    def __init__(self, detail: str = "", *, errors: tuple[FieldError, ...] = ()) -> None:
        self.detail = detail or (type(self).__doc__ or "").splitlines()[0]
        self.errors = errors
        super().__init__(self.detail)


class NotFound(Refusal):
    """There is no such thing in this workspace."""

    code, status = "not_found", 404


class Unauthenticated(Refusal):
    """The credentials are missing, wrong, expired or revoked."""

    code, status = "unauthenticated", 401


class Forbidden(Refusal):
    """This role or scope may not do that."""

    code, status = "forbidden", 403


class Invalid(Refusal):
    """The input is not valid."""

    code, status = "invalid", 400


class StaleVersion(Refusal):
    """The task has changed since the version that If-Match names."""

    code, status = "stale_version", 412


class Conflict(Refusal):
    """The state of the thing does not allow this."""

    code, status = "conflict", 409


class NotRetryable(Conflict):
    """Only a delivery that has ended dead or cancelled can be retried."""

    code = "not_retryable"


class NotCancellable(Conflict):
    """Only a delivery that waits can be cancelled."""

    code = "not_cancellable"


class ReplayOver(Conflict):
    """The replay is over."""

    code = "replay_over"


class TooLarge(Refusal):
    """The body is larger than the limit."""

    code, status = "too_large", 413
