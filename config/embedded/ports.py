"""Ports on loopback: free ones, remembered ones, and whether one is taken.

Ports are chosen below the range from which the kernel numbers outgoing connections: while
a server is down, a connection of ours could otherwise be given its port and keep it from
coming back.
"""

import contextlib
import errno
import json
import random
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from config.embedded.secret_file import write_private

RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, FALLBACK_CEILING = 12_000, 32_768
_choice = random.SystemRandom()


def is_free(port: int, hosts: Iterable[str] = ("127.0.0.1",)) -> bool:
    """Tell whether a server could listen on the port of every host this machine has."""
    return all(_can_listen(host, port) for host in hosts)


def free_port(*, avoid: Collection[int] = ()) -> int:
    """Return a free port on loopback, outside the kernel's own range where it leaves room."""
    ceiling = _ceiling()
    for _ in range(200):
        port = _choice.randrange(LOWEST, ceiling)
        if port not in avoid and is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def remembered_ports(
    names: Iterable[str], path: Path, *, avoid: Collection[int] = ()
) -> dict[str, int]:
    """Return a free port for each name: last time's where it is still free, else a new one.

    ``avoid`` names ports that are free now and will be needed.
    """
    known = _read(path)
    ports: dict[str, int] = {}
    for name in names:
        taken = {*avoid, *ports.values()}
        last = known.get(name, 0)
        good = last > 0 and last not in taken and is_free(last)
        ports[name] = last if good else free_port(avoid=taken)
    write_private(path, json.dumps({**known, **ports}, indent=1) + "\n")
    return ports


def _read(path: Path) -> dict[str, int]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    pairs = known.items() if isinstance(known, dict) else ()
    return {str(name): port for name, port in pairs if isinstance(port, int)}


def _ceiling() -> int:
    with contextlib.suppress(OSError, ValueError):
        low = int(RANGE_FILE.read_text(encoding="ascii").split()[0])
        return min(low, FALLBACK_CEILING) if low > LOWEST + 1_000 else FALLBACK_CEILING
    return FALLBACK_CEILING


def _can_listen(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        probe = socket.socket(family)
    except OSError:  # a machine without IPv6 has nothing there that could be taken
        return True
    with probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True
