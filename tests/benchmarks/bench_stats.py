"""How long `GET stats/` takes while very much waits to be delivered.

BENCH_OPEN_DELIVERIES (1,000,000) open deliveries of as many tasks, shared by ten destinations.
"""

import os
import sys

from tests.benchmarks.apart import keep, measured

COUNT = int(os.environ.get("BENCH_OPEN_DELIVERIES", "1000000"))
SLOWEST = 1.0  # seconds


def main() -> int:
    """Run it, print a table, write JSON; return 1 where it is wrong or takes over a second."""
    result = measured("stats_run", COUNT)
    print(f"\nstats: {COUNT:,} open deliveries of as many tasks, ten destinations")
    print(f"{'median ms':>12}{'max ms':>10}  of {result['asked']} requests")
    print(f"{result['median_ms']:>12.1f}{result['max_ms']:>10.1f}")
    for name, milliseconds in result["parts"].items():
        print(f"  {name}: {milliseconds:.1f} ms")
    keep("stats", result)
    return int(not result["right"] or result["median_ms"] > SLOWEST * 1000)


if __name__ == "__main__":
    sys.exit(main())
