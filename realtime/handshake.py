"""What a client brings along: credentials, cursor and filter, read from the ASGI scope."""

from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from django.conf import settings

from realtime.asgi_types import Scope, header
from realtime.auth import Credentials
from realtime.filter import FILTER_NAMES, Filter, parse_filter


def query_of(scope: Scope) -> dict[str, list[str]]:
    """Return the query's values by name."""
    return parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)


def credentials_of(scope: Scope, *, tickets: bool) -> Credentials:
    """Return what the client shows of itself."""
    query = query_of(scope)
    return Credentials(
        authorization=header(scope, b"authorization"),
        ticket=query.get("ticket", [None])[0] if tickets else None,
        session_key=session_cookie(scope),
        workspace=header(scope, b"x-workspace") or query.get("workspace", [""])[0],
    )


def session_cookie(scope: Scope) -> str | None:
    """Return the session's key, if a cookie shows one."""
    try:
        cookies = SimpleCookie(header(scope, b"cookie") or "")
    except CookieError:
        return None
    morsel = cookies.get(settings.SESSION_COOKIE_NAME)
    return morsel.value if morsel else None


def filter_of(scope: Scope) -> Filter | None:
    """Return the filter that the query asks for; raises BadFilter."""
    query = query_of(scope)
    return parse_filter({name: query[name] for name in FILTER_NAMES if name in query})
