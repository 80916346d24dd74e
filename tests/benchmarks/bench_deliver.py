"""Deliveries a second: the drain beside a Celery task per delivery, in the same run.

Real PostgreSQL (as durable as `make up`), real Valkey, one real Celery worker of two processes
each, and the sandbox as the receiver. Each side starts with an empty database.
"""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from config.embedded.ports import free_port
from config.env import data_dir
from tests.support.engine_secret import SECRET
from tests.support.servers import own_postgres, own_valkey

COUNT = int(os.environ.get("BENCH_DELIVERIES", "2000"))
CHECKOUT = Path(__file__).resolve().parents[2]
SIDES = {"engine": "the drain (order, caps, outcomes in the log)", "naive": "a task per delivery"}


def main() -> int:
    """Run both sides, print a table, write JSON; return 1 where a side left something undone."""
    results = [_measure(side) for side in SIDES]
    print(f"\ndeliver: {COUNT} deliveries to 4 destinations on loopback")
    print(f"{'side':<50}{'seconds':>10}{'deliveries/s':>14}")
    for result in results:
        rate = COUNT / result["seconds"]
        print(f"{SIDES[result['side']]:<50}{result['seconds']:>10.2f}{rate:>14.0f}")
    path = data_dir() / "bench" / "deliver.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": time.time(), "results": results}, indent=2) + "\n")
    print(f"written to {path}")
    return int(any(result["left"] for result in results))


def _measure(side: str) -> dict[str, Any]:
    with own_postgres() as postgres, own_valkey() as valkey:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "SANDBOX_SECRETS": SECRET,
        }
        run_python(["manage.py", "migrate", "--verbosity", "0"], environment)
        with sandbox(environment) as address:
            module = "tests.benchmarks.deliver_run"
            said = run_python(["-m", module, side, address, str(COUNT)], environment)
    result: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return result


def run_python(arguments: list[str], environment: dict[str, str]) -> str:
    """Return what a Python program of the checkout prints; raises where it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


@contextlib.contextmanager
def sandbox(environment: dict[str, str]) -> Iterator[str]:
    """Run the receiver; give its address."""
    port = free_port()
    command = [sys.executable, "manage.py", "sandbox", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(f"{address}/received?limit=1")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _wait(address: str) -> None:
    ends = time.monotonic() + 30
    while True:
        try:
            urlopen(address, timeout=1).close()
        except (URLError, OSError):
            if time.monotonic() > ends:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
