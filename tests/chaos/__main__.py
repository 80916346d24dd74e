"""`make chaos`: kills everything, again and again, while clients write; then counts what is wrong.

SEED, MINUTES (5) and RATE (25 requests a second) choose the run. The exit code is 1 where any
promise was broken. `make chaos ARGS=order` runs the order of tasks at its full size instead.
"""

import sys
from typing import Any

from tests.chaos.options import read_options
from tests.chaos.order import keep_order
from tests.chaos.storm import weather


def main(chosen: list[str]) -> int:
    """Run what was chosen; return the exit code."""
    if chosen == ["order"]:
        return keep_order()
    if chosen:
        print(f"there is only `order`, not {' '.join(chosen)}")
        return 2
    options = read_options()
    print(f"seed {options.seed}, {options.minutes:g} min, {options.rate:g} requests a second")
    report = weather(options)
    print(table(report))
    print(f"all of it: {options.report}; the records: {options.folder}/")
    return 1 if is_bad(report) else 0


def is_bad(report: dict[str, Any]) -> bool:
    """Tell whether a promise was broken, or the suite itself failed to do what it should."""
    return any(report["violations"].values()) or "suite errors" in report["counts"]


def table(report: dict[str, Any]) -> str:
    """Return the report for people."""
    faults = [("fault", "times"), *report["faults"].items()]
    counts = [("what", "count"), *report["counts"].items()]
    violations = [("promise broken", "times"), *report["violations"].items()]
    parts = ["\n".join(f"  {a:<44} {b}" for a, b in rows) for rows in (faults, counts, violations)]
    samples = [f"  {text}" for found in report["findings"].values() for text in found[:5]]
    return "\n\n".join(["", *parts, *(["\n".join(samples)] if samples else [])])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
