"""What proves to a destination who asks: Basic, Bearer, secret headers, or OAuth 2.

Each kind is read from the JSON that is kept sealed and gives the headers of a request; what is
secret stays out of its repr. `SECRETS` names the members that nobody is ever shown again.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tasks_app.security.masking import MASK

SECRETS: Final[Mapping[str, tuple[str, ...]]] = {
    "basic": ("password",),
    "bearer": ("token",),
    "headers": ("headers",),
    "oauth2": ("client_secret",),
}
"""The secret members of each type of auth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """Headers that are the same for every request: Basic, Bearer and whatever a system invents."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    """What an answer may not show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """A client that asks for its tokens itself: client credentials (RFC 6749 §4.4)."""

    token_url: str
    client_id: str
    client_secret: str = field(repr=False)
    scope: str = ""
    audience: str = ""
    client_auth: str = "header"
    """Where the client shows its secret (RFC 6749 §2.3.1): `header` (Basic) or `body`."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What an answer may not show."""
        return (self.client_secret,)


Credentials = Static | OAuth2


def read_credentials(kept: Mapping[str, Any]) -> Credentials:
    """Read what was kept. Raises KeyError and ValueError for what is none."""
    match kept["type"]:
        case "basic":
            return basic(username=kept["username"], password=kept["password"])
        case "bearer":
            value = f"Bearer {kept['token']}"
            return Static(headers={"Authorization": value}, secrets=(kept["token"],))
        case "headers":
            headers = dict(kept["headers"])
            words = [word for value in headers.values() for word in value.split()]
            return Static(headers=headers, secrets=(*headers.values(), *words))
        case "oauth2":
            return OAuth2(**{name: value for name, value in kept.items() if name != "type"})
    raise ValueError("there is no such type of auth")


def basic(*, username: str, password: str) -> Static:
    """Return a Basic header (RFC 7617 §2), in UTF-8."""
    pair = b64encode(f"{username}:{password}".encode()).decode()
    return Static(headers={"Authorization": f"Basic {pair}"}, secrets=(password, pair))


def outline(auth: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be shown of it: which parts are set, and no secret."""
    hidden = SECRETS[auth["type"]]
    return {name: _hide(value) if name in hidden else value for name, value in auth.items()}


def _hide(value: Any) -> Any:
    return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK
