"""One run: clients write and followers follow while the deck is played, then all is compared."""

import contextlib
import json
import os
import platform
import time
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tests.chaos import collect
from tests.chaos.checker import judge
from tests.chaos.deck import draw
from tests.chaos.doubles import doubles
from tests.chaos.faults import Storm
from tests.chaos.latency import settling, waits
from tests.chaos.options import Options
from tests.chaos.records import CHANGES, Diary, Records, Seen, Told, read_lines, write_all
from tests.chaos.stage import DESTINATIONS, Stage, running_stage
from tests.chaos.watchers import watchers
from tests.chaos.writers import Writer

WRITERS = 8
AFTER = 15.0  # seconds after the last fault within which all that is due is under way (contract §7)
IN_THE_END = 90.0  # seconds after that in which everything must have ended


def weather(options: Options) -> dict[str, Any]:
    """Run the storm and return its report; what it recorded lies in the options' folder."""
    cards = draw(seed=options.seed, seconds=options.seconds)
    began = datetime.now(UTC)
    with running_stage(options.folder) as stage:
        records, counts = _play(stage, options, cards)
    findings = judge(records)
    report = {
        "seed": options.seed,
        "minutes": options.minutes,
        "rate": options.rate,
        "began": began.isoformat(timespec="seconds"),
        "machine": _machine(),
        "counts": {**counts, **_counts(records)},
        "faults": dict(Counter(fault.kind for fault in records.faults)),
        "violations": {name: len(found) for name, found in findings.items()},
        "findings": {name: found[:50] for name, found in findings.items() if found},
        "fault_log": [asdict(fault) for fault in records.faults],
    }
    options.report.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def _play(stage: Stage, options: Options, cards: list[Any]) -> tuple[Records, dict[str, Any]]:
    told, seen = Diary(options.folder / "told.jsonl"), Diary(options.folder / "seen.jsonl")
    following = watchers(stage.front, seen, after="0")
    for one in following:
        one.start()
    writing = [
        Writer(n, house=stage.front, diary=told, every=WRITERS / options.rate, seed=options.seed)
        for n in range(WRITERS)
    ]
    storm = Storm(stage, cards, seconds=options.seconds)
    storm.run()
    last = max(fault.ended for fault in storm.faults)
    for writer in writing:
        writer.stop()
    time.sleep(max(0.0, last + AFTER - time.time()))
    looked_at, open_after = time.time(), collect.what_is_open(stage)
    _wait_for_the_end(stage)
    head = collect.head(stage)
    _wait_for_followers(following, head)
    for follower in following:
        follower.stop()
    told.close()
    seen.close()
    records = Records(
        told=[Told(**line) for line in read_lines(options.folder / "told.jsonl")],
        logged=list(collect.the_log(stage)),
        arrived=list(collect.what_arrived(stage)),
        seen=[Seen(**line) for line in read_lines(options.folder / "seen.jsonl")],
        faults=sorted(storm.faults, key=lambda fault: fault.began),
        paths=[path for path, fields in DESTINATIONS.items() if "mode" not in fields],
        newest=[path for path, fields in DESTINATIONS.items() if "mode" in fields],
        slots=sum(fields["max_concurrency"] for fields in DESTINATIONS.values()),
        followers={one.name: list(CHANGES.values()) if one.filter else [] for one in following},
        open_after=open_after,
        looked_at=looked_at,
        open_at_end=collect.what_is_open(stage),
    )
    for name in ("logged", "arrived", "faults", "open_after", "open_at_end"):
        write_all(options.folder / f"{name}.jsonl", getattr(records, name))
    return records, {"suite errors": storm.errors} if storm.errors else {}


def _wait_for_the_end(stage: Stage) -> None:
    """Wait until nothing is open, or for as long as that may take; the checker says which."""
    ends = time.monotonic() + IN_THE_END
    while time.monotonic() < ends and collect.what_is_open(stage):
        time.sleep(1)


def _wait_for_followers(following: list[Any], head: int) -> None:
    """Wait until all are at the head, a filtered one too; the checker tells of those that are not.

    Outcomes of the last deliveries may still be on their way.
    """
    ends = time.monotonic() + 30
    while time.monotonic() < ends and any(_position(one) < head for one in following):
        time.sleep(0.1)


def _position(follower: Any) -> int:
    with contextlib.suppress(ValueError):
        return int(str(follower.cursor).rpartition(".")[2])
    return 0


def _counts(records: Records) -> dict[str, Any]:
    answered = [one for one in records.told if one.status in range(200, 300)]
    return {
        "requests": len(records.told),
        "changes answered with success": sum(one.op in CHANGES for one in answered),
        "requests without an answer or with a 5xx": sum(
            one.status == 0 or one.status >= 500 for one in records.told
        ),
        "changes in the log": sum(one.type in CHANGES.values() for one in records.logged),
        "events in the log": len(records.logged),
        "requests at destinations": len(records.arrived),
        "frames at followers": len(records.seen),
        "changes that gave way to newer ones": _given_way(records),
        "doubles that a fault explains": len(doubles(records)),
        "open 15 s after the last fault": len(records.open_after),
        **waits(records),
        **settling(records),
    }


def _given_way(records: Records) -> int:
    """Return how many changes never came to those that want a task's newest state alone."""
    came = {(one.path, one.seq) for one in records.arrived}
    changes = [one.seq for one in records.logged if one.type in CHANGES.values()]
    return sum((path, seq) not in came for path in records.newest for seq in changes)


def _machine() -> dict[str, Any]:
    return {
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "memory GiB": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }
