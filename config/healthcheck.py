"""`python -m config.healthcheck`: is the role that runs in this container well? Exit code 0 or 1.

Asked every few seconds, so it loads neither Django nor the domain. What the role is, and where it
listens, is in a file that `config.roles` left in the temporary folder; where there is none, nobody
began here.
"""

import http.client
import os
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from config.env import env
from config.roles import COMMAND, Role
from config.url_password import with_password

PATIENCE: Final = 3  # seconds
SILENCE: Final = "15 seconds"  # workers beat every 2 s, sweeps every 1 s
PATHS: Final = {"api": "/healthz", "stream": "/stream/readyz"}


def trouble(role: Role) -> str:
    """Return what is wrong with the role, or an empty text. A command is well while it runs."""
    if role.name == COMMAND:
        return ""
    try:
        return _answers(role) if role.name in PATHS else _beats(role)
    except (OSError, http.client.HTTPException, psycopg.Error) as error:
        return f"{role.name}: {type(error).__name__}"


def _answers(role: Role) -> str:
    host = "127.0.0.1" if role.host == "0.0.0.0" else role.host  # noqa: S104 - from there to here
    name = env.items("ALLOWED_HOSTS", "localhost")[0]
    with closing(http.client.HTTPConnection(host, role.port, timeout=PATIENCE)) as asked:
        asked.request("GET", PATHS[role.name], headers={"Host": name})
        status = asked.getresponse().status
    return "" if status == http.HTTPStatus.OK else f"{role.name} answers {status}"


def _beats(role: Role) -> str:
    """Look for the signs of life of a worker's children, or of the sweeps that a beat rings for."""
    if role.name == "worker":
        children = Path(f"/proc/{role.pid}/task/{role.pid}/children").read_text().split()
        names = [f"{socket.gethostname()[:80]}-{pid}-%" for pid in children]
    else:
        names = ["beat"]
    url = with_password(env.text("DATABASE_URL"), env.text("DATABASE_PASSWORD", ""))
    with psycopg.connect(url, connect_timeout=PATIENCE) as connection:
        found = connection.execute(
            "SELECT count(*) FROM process_beat WHERE name LIKE ANY(%s)"
            " AND seen_at > statement_timestamp() - %s::interval",
            [names, SILENCE],
        ).fetchone()
    return "" if found and found[0] else f"{role.name} has shown no sign of life for {SILENCE}"


def main() -> None:
    """Exit with what is wrong, or with 0."""
    try:
        role = Role.read()
    except (OSError, ValueError, TypeError) as error:
        sys.exit(f"No role has noted that it began here: {error}")
    if said := trouble(role):
        sys.exit(said)


if __name__ == "__main__":
    os.environ.setdefault("ROLE", "command")
    main()
