"""How long the admin's lists, searches and filters take over very many tasks and deliveries.

BENCH_ADMIN_ROWS (1,000,000) tasks and as many deliveries, of ten destinations in one workspace.
"""

import json
import os
import sys
import time
from typing import Any

from config.env import data_dir
from tests.benchmarks.bench_deliver import _run
from tests.support.servers import own_postgres, own_valkey

COUNT = int(os.environ.get("BENCH_ADMIN_ROWS", "1000000"))
SLOWEST = 1000.0  # milliseconds, of a median


def main() -> int:
    """Run it, print a table, write JSON; return 1 where a page takes over a second."""
    with own_postgres() as postgres, own_valkey() as valkey:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
        }
        _run(["manage.py", "migrate", "--verbosity", "0"], environment)
        module = "tests.benchmarks.admin_run"
        pages: dict[str, Any] = json.loads(_run(["-m", module, str(COUNT)], environment))
    print(f"\nadmin: {COUNT:,} tasks and as many deliveries")
    print(f"{'median ms':>12}{'max ms':>10}  page")
    for page, took in pages.items():
        print(f"{took['median_ms']:>12.1f}{took['max_ms']:>10.1f}  {page}")
    path = data_dir() / "bench" / "admin.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"at": time.time(), "rows": COUNT, "pages": pages}
    path.write_text(json.dumps(told, indent=2) + "\n")
    print(f"written to {path}")
    return int(max(took["median_ms"] for took in pages.values()) > SLOWEST)


if __name__ == "__main__":
    sys.exit(main())
