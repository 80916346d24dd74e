"""Second requests, and which fault explains each: at most one a fault and attempt in flight."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.records import Arrived, Fault, Records

# Faults after which nobody can know what became of a request that was under way: its sender died
# or slept, the database that was to be told was away, or the connection itself was cut.
EXCUSES = frozenset(
    {
        "kill worker",
        "stop worker",
        "sleep past lease",
        "skewed worker",
        "kill postgres",
        "cut database",
        "cut destination",
    }
)
IN_FLIGHT = 20.0  # seconds that an attempt and its settling may take: a deadline of 15 s and some
ON_ITS_WAY = 1.0  # seconds; what a killed sender had written may still be read by a busy receiver


def doubles(records: Records) -> list[tuple[Arrived, Arrived]]:
    """Return each request that came although the one before may have done the work, with that.

    After a failure it is a retry, also where that failure answered a double.
    """
    by_message: dict[tuple[str, str], list[Arrived]] = defaultdict(list)
    for one in sorted(records.arrived, key=lambda each: each.n):
        by_message[one.path, one.message].append(one)
    pairs: list[tuple[Arrived, Arrived]] = []
    for came in by_message.values():
        pairs += [(one, again) for one, again in pairwise(came) if _may_have_done_it(one)]
    return pairs


def _may_have_done_it(one: Arrived) -> bool:
    return one.status is None or 200 <= one.status < 300


def unexplained_doubles(records: Records) -> Iterator[str]:
    """Yield doubles that no fault explains, and faults that would explain more than can be."""
    excuses = [fault for fault in records.faults if fault.kind in EXCUSES]
    used: set[tuple[int, str, str]] = set()
    explained: Counter[int] = Counter()
    for first, second in doubles(records):
        fits = [n for n in _fitting(excuses, first, second) if (n, *_whose(first)) not in used]
        number = min(fits, key=lambda one: explained[one], default=None)
        if number is None:
            yield (
                f"{first.message} came to {first.path} at {first.at:.3f} (answered {first.status})"
                f" and again at {second.at:.3f} without a fault between"
            )
        else:
            used.add((number, *_whose(first)))
            explained[number] += 1
    for number, count in explained.items():
        if count > records.slots:
            yield f"{excuses[number].kind} explains {count} doubles, {records.slots} were in flight"


def _fitting(excuses: list[Fault], first: Arrived, second: Arrived) -> Iterator[int]:
    """Give the numbers of the faults that fell between both while the first was in flight."""
    for number, fault in enumerate(excuses):
        began = _moment(fault)
        between = began <= second.at and first.at <= fault.ended + ON_ITS_WAY
        if between and began - first.at <= IN_FLIGHT:
            yield number


def _moment(fault: Fault) -> float:
    """Return when it began to do harm: a worker with a wrong clock does none until it is killed."""
    return fault.ended - ON_ITS_WAY if fault.kind == "skewed worker" else fault.began


def _whose(one: Arrived) -> tuple[str, str]:
    return one.path, one.message
