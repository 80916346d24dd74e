"""How fast retention forgets, and how long each of its transactions takes.

BENCH_OLD_EVENTS (1,000,000) events of the past in one workspace, each with a delivery to one of ten
destinations and an attempt, and a tenth as many of today, which must stay.
"""

import json
import os
import sys
import time
from typing import Any

from config.env import data_dir
from tests.benchmarks.bench_deliver import _run
from tests.support.servers import own_postgres, own_valkey

COUNT = int(os.environ.get("BENCH_OLD_EVENTS", "1000000"))


def main() -> int:
    """Run it, print a table, write JSON; return 1 where too much or too little is left."""
    with own_postgres() as postgres, own_valkey() as valkey:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
        }
        _run(["manage.py", "migrate", "--verbosity", "0"], environment)
        module = "tests.benchmarks.retention_run"
        result: dict[str, Any] = json.loads(_run(["-m", module, str(COUNT)], environment))
    print(f"\nretention: {COUNT:,} events, as many deliveries and attempts, {COUNT // 10:,} stay")
    print(f"{'rows':>12}{'seconds':>10}{'rows/s':>10}{'steps':>8}{'median ms':>12}{'max ms':>10}")
    rate = result["rows"] / result["seconds"]
    print(
        f"{result['rows']:>12,}{result['seconds']:>10.1f}{rate:>10,.0f}{result['steps']:>8}"
        f"{result['median_ms']:>12.1f}{result['max_ms']:>10.1f}"
    )
    path = data_dir() / "bench" / "retention.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": time.time(), **result}, indent=2) + "\n")
    print(f"written to {path}")
    return int(not result["right"])


if __name__ == "__main__":
    sys.exit(main())
