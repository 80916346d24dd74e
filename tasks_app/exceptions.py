"""Every refusal of the domain, each with a stable code; the API maps them to problem+json.

Refusal
├── NotFound              404  not_found            (also: exists, but in another workspace)
├── Unauthenticated       401  unauthenticated
├── Forbidden             403  forbidden
├── Invalid               400  invalid              (errors: pointer, code, detail)
├── NoLongerKept          410  no_longer_kept       (kept_from)
├── StaleVersion          412  stale_version
├── Conflict              409  conflict
│   ├── NotRetryable      409  not_retryable
│   ├── NotCancellable    409  not_cancellable
│   ├── ReplayOver        409  replay_over
│   ├── ImportOver        409  import_over
│   ├── LimitReached      409  limit_reached
│   ├── LastOwner         409  last_owner
│   ├── InvitationOver    409  invitation_over
│   ├── KeyInUse          409  idempotency_key_in_use
│   └── SecretShownOnce   409  secret_shown_once
├── KeyReused             422  idempotency_key_reused
├── TooLarge              413  too_large
├── RateLimited           429  rate_limited         (violated-policies, Retry-After)
├── TooManyExports        429  too_many_exports
├── TooManyImports        429  too_many_imports
└── TooManyBulks          429  too_many_bulks
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
        self.headers: dict[str, str] = {}  # what the answer says besides
        self.members: dict[str, object] = {}  # of the problem (RFC 9457 §3.2)
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


class NoLongerKept(Refusal):
    """This part of the log is no longer kept."""

    code, status = "no_longer_kept", 410

    def __init__(self, *, kept_from: int) -> None:
        super().__init__(f"The log is kept from seq {kept_from} on: load anew, go on from there.")
        self.members["kept_from"] = kept_from


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


class ImportOver(Conflict):
    """The import is over."""

    code = "import_over"


class KeyInUse(Conflict):
    """The first request with this Idempotency-Key is still running: ask again."""

    code = "idempotency_key_in_use"

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}


class SecretShownOnce(Conflict):
    """This was done, and its answer can't be had again: it showed a secret, or does not open."""

    code = "secret_shown_once"

    def __init__(self, *, location: str | None) -> None:
        super().__init__()
        self.headers = {"Location": location} if location else {}


class KeyReused(Refusal):
    """This Idempotency-Key was used for another request within the last 24 hours."""

    code, status = "idempotency_key_reused", 422


class LimitReached(Conflict):
    """This workspace has as many of these as it may."""

    code = "limit_reached"


class LastOwner(Conflict):
    """A workspace keeps at least one owner: make somebody else one first."""

    code = "last_owner"


class InvitationOver(Conflict):
    """The invitation was used or revoked, or was sent anew since."""

    code = "invitation_over"


class TooLarge(Refusal):
    """The body is larger than the limit."""

    code, status = "too_large", 413


class RateLimited(Refusal):
    """There have been too many requests."""

    code, status = "rate_limited", 429

    def __init__(self, *, policy: str, retry_after: int) -> None:
        super().__init__(f"There have been too many requests; try again in {retry_after} s.")
        self.headers = {"Retry-After": str(retry_after)}
        self.members = {"violated-policies": [policy]}  # RateLimit draft, section 5.1


class TooManyExports(Refusal):
    """This workspace has as many exports under way as it may; wait for one to end."""

    code, status = "too_many_exports", 429

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "10"}


class TooManyImports(Refusal):
    """This workspace has as many imports under way as it may; wait for one to end."""

    code, status = "too_many_imports", 429

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "10"}


class TooManyBulks(Refusal):
    """Another bulk of this workspace is being written; nothing was done."""

    code, status = "too_many_bulks", 429

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Retry-After": "1"}
