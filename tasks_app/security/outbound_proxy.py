"""`OUTBOUND_PROXY`: the company's way out, read once; its password is in no text we ever write."""

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

_PROXY: Final = re.compile(
    r"http://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})/?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundProxy:
    """An HTTP proxy that the operator trusts; its own address is not vetted."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)
    resolves: bool = False
    """The proxy is told names, and must itself refuse inside addresses; else it is told the
    address that we have vetted.
    """


def read_proxy(text: str, *, resolves: bool = False) -> OutboundProxy | None:
    """Read `http://user:password@host:port`, both parts percent-encoded where they must be.

    None where there is no text. Raises ValueError without a word of the text.
    """
    if not text:
        return None
    match = _PROXY.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65_535:
        raise ValueError("a proxy is http://host:port or http://user:password@host:port")
    user, password = (unquote(match[part] or "") for part in ("user", "password"))
    if ":" in user or not (user + password).isprintable():
        raise ValueError("the proxy's user or password has a character that can't be sent")
    return OutboundProxy(
        host=match["host"].strip("[]").lower(),
        port=int(match["port"]),
        user=None if match["user"] is None else user,
        password=password,
        resolves=resolves,
    )
