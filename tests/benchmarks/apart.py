"""A benchmark in a process of its own, over servers of its own, and the one file that it leaves."""

import json
import os
import time
from typing import Any

from config.env import data_dir
from tests.benchmarks.bench_deliver import run_python
from tests.support.servers import own_postgres, own_valkey


def measured(module: str, count: int) -> dict[str, Any]:
    """Return what a module of the benchmarks prints as JSON over a migrated, empty database."""
    with own_postgres() as postgres, own_valkey() as valkey:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "LOG_LEVEL": "WARNING",  # of a line for each request the table would not be seen
        }
        run_python(["manage.py", "migrate", "--verbosity", "0"], environment)
        told = run_python(["-m", f"tests.benchmarks.{module}", str(count)], environment)
    result: dict[str, Any] = json.loads(told)
    return result


def keep(name: str, result: dict[str, Any]) -> None:
    """Write the result beside those of the other benchmarks."""
    path = data_dir() / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": time.time(), **result}, indent=2) + "\n")
    print(f"written to {path}")
