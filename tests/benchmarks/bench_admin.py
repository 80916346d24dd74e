"""How long the admin's lists, searches and filters take over very many tasks and deliveries.

BENCH_ADMIN_ROWS (1,000,000) tasks and as many deliveries, of ten destinations in one workspace.
"""

import os
import sys

from tests.benchmarks.apart import keep, measured

COUNT = int(os.environ.get("BENCH_ADMIN_ROWS", "1000000"))
SLOWEST = 1000.0  # milliseconds, of a median


def main() -> int:
    """Run it, print a table, write JSON; return 1 where a page takes over a second."""
    pages = measured("admin_run", COUNT)
    print(f"\nadmin: {COUNT:,} tasks and as many deliveries")
    print(f"{'median ms':>12}{'max ms':>10}  page")
    for page, took in pages.items():
        print(f"{took['median_ms']:>12.1f}{took['max_ms']:>10.1f}  {page}")
    keep("admin", {"rows": COUNT, "pages": pages})
    return int(max(took["median_ms"] for took in pages.values()) > SLOWEST)


if __name__ == "__main__":
    sys.exit(main())
