"""How many tasks a second the API accepts, beside the usual first version, in the same run.

``python -m tests.benchmarks.bench_accept``: about 30 s. Both apps under granian with four
threads, the same PostgreSQL (durable, fsync on) and Valkey; runs alternate, so that drift of the
machine hits both. Ours writes the task, its event and one delivery per destination (two), and
rings at most one doorbell per 2 s; the peer writes the task and sends one message each.
The commits of one workspace follow one another (its log is dense), each with its own wait for the
disk; those of several workspaces share it, as the peer's do.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.benchmarks.load import Load, post_request, run, spread
from tests.support.api_server import CHECKOUT, api_server
from tests.support.servers import own_postgres, own_valkey

CLIENTS, SECONDS, ROUNDS, THREADS = 16, 3.0, 3, 4
TOKEN = "dev-secret-token"  # the demo's
BODY = (
    b'{"title":"Bench","description":"d","priority":"high","labels":["a","b"],"metadata":{"n":1}}'
)
TOKENS = [f"bench-token-{n:02}" for n in range(CLIENTS)]
PEER = "tests.benchmarks.naive_api:application"
RESULTS = CHECKOUT / ".data" / "bench" / "accept.json"


@contextlib.contextmanager
def databases() -> Iterator[tuple[str, str]]:
    """Run both servers; give the addresses of two empty databases, ours and the peer's."""
    with own_postgres() as postgres, own_valkey() as valkey:
        os.environ["REDIS_URL"] = valkey.url
        with psycopg.connect(postgres.url, autocommit=True) as admin:
            admin.execute("CREATE DATABASE bench_ours")
            admin.execute("CREATE DATABASE bench_naive")
        parts = urlsplit(postgres.url)
        yield (
            urlunsplit(parts._replace(path="/bench_ours")),
            urlunsplit(parts._replace(path="/bench_naive")),
        )


def prepare(ours: str, naive: str) -> None:
    """Load our demo workspace (one key, two destinations); make the peer's tables and token."""
    python(ours, "manage.py", "migrate", "--verbosity=0")
    python(ours, "manage.py", "load_demo", "--verbosity=0")
    python(ours, "-m", "tests.benchmarks.workspaces", *TOKENS)
    python(naive, "-m", "tests.benchmarks.naive_api", TOKEN)


def python(database: str, *arguments: str) -> None:
    """Run Python in the checkout with this database. Raises CalledProcessError."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": database,
    }
    command = [sys.executable, *arguments]
    subprocess.run(command, check=True, cwd=CHECKOUT, env=environment)


def measure(ours: str, naive: str) -> dict[str, list[Load]]:
    """Alternate both apps; the first round of each is thrown away."""
    one = [post_request("/api/v1/tasks/", BODY, TOKEN)] * CLIENTS
    each = [post_request("/api/v1/tasks/", BODY, token) for token in TOKENS]
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(api_server(threads=THREADS, DATABASE_URL=ours))
        peer = stack.enter_context(
            api_server(application=PEER, threads=THREADS, DATABASE_URL=naive)
        )
        runs = {
            "one workspace": (port, one),
            "a workspace each": (port, each),
            "naive": (peer, one),
        }
        loads: dict[str, list[Load]] = {name: [] for name in runs}
        for turn in range(ROUNDS + 1):
            for name, (at, requests) in runs.items():
                load = run(at, requests, seconds=SECONDS, status=201)
                if turn:
                    loads[name].append(load)
    return loads


def told(loads: dict[str, list[Load]]) -> dict[str, Any]:
    """Return what is written down."""
    return {
        name: {
            "rates": [round(load.rate, 1) for load in runs],
            "p50_ms": round(max(load.percentile(0.5) for load in runs), 2),
            "p99_ms": round(max(load.percentile(0.99) for load in runs), 2),
            "wrong": sum(load.wrong for load in runs),
        }
        for name, runs in loads.items()
    }


def main() -> int:
    """Print the table, write the JSON; fail where an answer was wrong."""
    with databases() as (ours, naive):
        prepare(ours, naive)
        loads = measure(ours, naive)
    result = told(loads)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    setup = {"clients": CLIENTS, "seconds": SECONDS, "rounds": ROUNDS, "threads": THREADS}
    RESULTS.write_text(json.dumps({"setup": setup, **result}, indent=2), encoding="utf-8")
    print(f"POST tasks/, {CLIENTS} clients, {THREADS} threads, {ROUNDS} x {SECONDS:.0f} s")
    print(f"{'':18}{'tasks/s':>24}{'p50 ms':>10}{'p99 ms':>10}{'wrong':>8}")
    for name, row in result.items():
        rates = spread(row["rates"])
        print(f"{name:18}{rates:>24}{row['p50_ms']:>10}{row['p99_ms']:>10}{row['wrong']:>8}")
    return 1 if any(row["wrong"] for row in result.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
