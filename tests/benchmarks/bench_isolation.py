"""What a destination that hangs and one that is flooded cost 98 healthy ones beside them.

From the commit of a change until each of the healthy has it, with and without the two, in turn,
so that drift of the machine hits both. One worker, beat, durable PostgreSQL, Valkey; the healthy
are in 14 workspaces, and the two are in workspaces of healthy ones. The two are received by a
process of their own. BENCH_FLOOD, BENCH_FLOOD_PATH, BENCH_SECONDS, BENCH_CHANGES, BENCH_ROUNDS.
Also: what a lease costs with 5,000 destinations of which 3 are due.
"""

import json
import os
import statistics
import sys
import time
from typing import Any

from config.env import data_dir
from tests.benchmarks.bench_deliver import run_python, sandbox
from tests.support.engine_secret import SECRET
from tests.support.servers import own_postgres, own_valkey

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
TARGET = 1.2


def main() -> int:
    """Run all, print a table, write JSON; return 1 where the healthy are slowed down."""
    sides = [side for _ in range(ROUNDS) for side in ("alone", "beside")]
    results = [_measure("isolation_run", side) for side in sides]
    leases = _measure("lease_run", "")
    ratios = {share: _ratio(results, f"{share}_ms") for share in ("p50", "p99")}
    _print(results, leases, ratios)
    path = data_dir() / "bench" / "isolation.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"at": time.time(), "results": results, "ratios": ratios, "lease": leases}
    path.write_text(json.dumps(told, indent=2) + "\n")
    print(f"written to {path}")
    return int(ratios["p99"] > TARGET)


def _measure(module: str, side: str) -> dict[str, Any]:
    with own_postgres() as postgres, own_valkey() as valkey:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": valkey.url,
            "SANDBOX_SECRETS": SECRET,
        }
        run_python(["manage.py", "migrate", "--verbosity", "0"], environment)
        with sandbox(environment) as good, sandbox(environment) as bad:
            arguments = ["-m", f"tests.benchmarks.{module}", side, good, bad]
            said = run_python(arguments, environment)
    result: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return result


def _ratio(results: list[dict[str, Any]], name: str) -> float:
    """Return how much slower the healthy are beside the two: median over median."""
    sides = ("beside", "alone")
    beside, alone = (statistics.median(r[name] for r in results if r["side"] == s) for s in sides)
    return round(float(beside / alone), 2)


def _print(results: list[dict[str, Any]], leases: dict[str, Any], ratios: dict[str, float]) -> None:
    print("\nisolation: from commit to arrival at 98 healthy destinations")
    print(f"{'side':<10}{'deliveries':>12}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}   strangers")
    for one in results:
        strangers = {name: one[name] for name in ("hangs", "flooded") if name in one}
        numbers = "".join(f"{one[name]:>10.1f}" for name in ("p50_ms", "p99_ms", "max_ms"))
        print(f"{one['side']:<10}{one['deliveries']:>12}{numbers}   {strangers or ''}")
    print(f"beside / alone: p50 {ratios['p50']:.2f}, p99 {ratios['p99']:.2f} (target {TARGET})")
    for name, cost in leases.items():
        numbers = f"{cost['ms']:>8.2f} ms{cost['pages']:>8} pages{cost['look_ms']:>8.2f} ms a look"
        print(f"{name:<60}{numbers}")


if __name__ == "__main__":
    sys.exit(main())
