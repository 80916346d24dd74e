"""Only the Door leads outside: what else could open a socket is listed here, with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]

# Whatever can connect: the standard library, what is installed, and what often is.
CONNECTING = {
    *("socket", "_socket", "http.client", "urllib.request", "smtplib", "ftplib", "poplib"),
    *("imaplib", "nntplib", "telnetlib", "xmlrpc.client", "subprocess", "multiprocessing"),
    *("aiohttp", "httpx", "requests", "urllib3", "aiodns", "pycares", "websockets", "pycurl"),
    *("twisted", "autobahn", "daphne", "uvicorn", "anyio", "trio", "redis", "psycopg", "kombu"),
    *("django.core.mail", "httpcore", "niquests", "paramiko", "asyncssh", "socks"),
}
CALLS = {
    *("open_connection", "open_unix_connection", "create_connection", "create_unix_connection"),
    *("create_datagram_endpoint", "sock_connect", "connect_ex", "urlopen", "urlretrieve"),
    *("start_tls", "create_subprocess_exec", "create_subprocess_shell"),
}
ALLOWED = {
    "tasks_app/connectors/http/": {"aiohttp", "httpx", "socket"},  # the Door
    "tasks_app/connectors/name_servers.py": {"aiodns", "socket"},  # asks the operator's servers
    "tasks_app/connectors/mail/": {"smtplib", "socket", "django.core.mail"},  # his mail server
    "tasks_app/delivery/post.py": {"django.core.mail"},  # the same one
    "tasks_app/delivery/beats.py": {"socket"},  # the name of this host
    "tasks_app/delivery/away.py": {"psycopg"},  # the names of its errors
    "tasks_app/recurring.py": {"psycopg"},  # the same
    "tasks_app/events/": {"redis"},  # the bells
    "tasks_app/observability/health.py": {"redis"},
    "tasks_app/api/throttles.py": {"redis"},  # the names of its errors
    "realtime/servers/": {"socket", "twisted", "autobahn", "daphne", "uvicorn"},  # listen
}
CALLING = {"tasks_app/connectors/mail/session.py": {"create_connection"}}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield every module of the domain and the stream."""
    for package in ("tasks_app", "realtime"):
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            yield str(path.relative_to(CHECKOUT)), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names of all modules that are imported, and of what is taken from them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def connecting(name: str) -> str | None:
    """Return which of the modules that can connect this is, or is part of."""
    parts = name.split(".")
    heads = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return next(iter(heads & CONNECTING), None)


def called(tree: ast.Module) -> set[str]:
    """Return the last names of all that is called."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return {
        func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls
    }


def allowed(path: str) -> set[str]:
    """Return what a module may import."""
    return {name for place, names in ALLOWED.items() if path.startswith(place) for name in names}


def test_nothing_but_what_is_listed_can_open_a_socket() -> None:
    found = {
        (path, module)
        for path, tree in modules()
        for name in imported(tree)
        if (module := connecting(name)) is not None and module not in allowed(path)
    }
    assert not found


def test_nothing_but_what_is_listed_connects() -> None:
    found = {
        (path, call)
        for path, tree in modules()
        for call in called(tree) & CALLS - CALLING.get(path, set())
    }
    assert not found


def test_nothing_is_imported_by_a_name_that_is_only_known_when_it_runs() -> None:
    """But for the connectors that an operator names."""
    for path, tree in modules():
        if path != "tasks_app/apps.py":
            assert not called(tree) & {"import_module", "__import__", "exec", "eval"}, path


def test_the_engine_makes_the_one_door() -> None:
    """Every connector, every token and every test button is given it; none makes its own."""
    makers = {path for path, tree in modules() if called(tree) & {"Door", "ClientSession"}}
    assert makers == {"tasks_app/delivery/engine.py", "tasks_app/connectors/http/door.py"}


def test_the_host_s_name_is_all_that_beats_wants_of_sockets() -> None:
    text = (CHECKOUT / "tasks_app/delivery/beats.py").read_text(encoding="utf-8")
    assert text.count("socket.") == text.count("socket.gethostname") > 0


@pytest.mark.parametrize("place", [*ALLOWED, *CALLING])
def test_the_list_names_what_there_is(place: str) -> None:
    assert any(path.startswith(place) for path, _ in modules())
