"""How fast retention forgets, and how long each of its transactions takes.

BENCH_OLD_EVENTS (1,000,000) events of the past in one workspace, each with a delivery to one of ten
destinations and an attempt, and a tenth as many of today, which must stay.
"""

import os
import sys

from tests.benchmarks.apart import keep, measured

COUNT = int(os.environ.get("BENCH_OLD_EVENTS", "1000000"))


def main() -> int:
    """Run it, print a table, write JSON; return 1 where too much or too little is left."""
    result = measured("retention_run", COUNT)
    print(f"\nretention: {COUNT:,} events, as many deliveries and attempts, {COUNT // 10:,} stay")
    print(f"{'rows':>12}{'seconds':>10}{'rows/s':>10}{'steps':>8}{'median ms':>12}{'max ms':>10}")
    rate = result["rows"] / result["seconds"]
    print(
        f"{result['rows']:>12,}{result['seconds']:>10.1f}{rate:>10,.0f}{result['steps']:>8}"
        f"{result['median_ms']:>12.1f}{result['max_ms']:>10.1f}"
    )
    keep("retention", result)
    return int(not result["right"])


if __name__ == "__main__":
    sys.exit(main())
