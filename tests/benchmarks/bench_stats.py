"""How long `GET stats/` takes while very much waits to be delivered.

BENCH_OPEN_DELIVERIES (1,000,000) open deliveries of as many tasks, shared by ten destinations.
"""

import json
import os
import sys
import time
from typing import Any

from config.env import data_dir
from tests.benchmarks.bench_deliver import _run
from tests.support.servers import own_postgres, own_valkey

COUNT = int(os.environ.get("BENCH_OPEN_DELIVERIES", "1000000"))
SLOWEST = 1.0  # seconds


def main() -> int:
    """Run it, print a table, write JSON; return 1 where it is wrong or takes over a second."""
    with own_postgres() as postgres, own_valkey() as valkey:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
        }
        _run(["manage.py", "migrate", "--verbosity", "0"], environment)
        module = "tests.benchmarks.stats_run"
        result: dict[str, Any] = json.loads(_run(["-m", module, str(COUNT)], environment))
    print(f"\nstats: {COUNT:,} open deliveries of as many tasks, ten destinations")
    print(f"{'median ms':>12}{'max ms':>10}  of {result['asked']} requests")
    print(f"{result['median_ms']:>12.1f}{result['max_ms']:>10.1f}")
    for name, milliseconds in result["parts"].items():
        print(f"  {name}: {milliseconds:.1f} ms")
    path = data_dir() / "bench" / "stats.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"at": time.time(), **result}, indent=2) + "\n")
    print(f"written to {path}")
    return int(not result["right"] or result["median_ms"] > SLOWEST * 1000)


if __name__ == "__main__":
    sys.exit(main())
