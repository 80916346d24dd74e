"""The order of tasks at its full size: the acceptance test of it, with larger numbers."""

import json
import os
import subprocess
import sys

from tests.chaos.options import DATA

FULL = {
    "ORDER_TASKS": "1000",
    "ORDER_VERSIONS": "20",
    "ORDER_DRAINS": "8",
    "ORDER_KILLS": "10",
}
TEST = "tests/acceptance/test_order_under_kills.py"


def keep_order() -> int:
    """Run it and print its figures; return its exit code. The environment may ask for less."""
    report = DATA / "chaos" / "order.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    chosen = {name: os.environ.get(name, value) for name, value in FULL.items()}
    environment = {**os.environ, **chosen, "ORDER_REPORT": str(report.absolute())}
    done = subprocess.run([sys.executable, "-m", "pytest", TEST], env=environment, check=False)
    if report.exists():
        figures = json.loads(report.read_text(encoding="utf-8"))
        print("\n".join(f"  {name:<44} {count}" for name, count in figures.items()))
    return done.returncode
