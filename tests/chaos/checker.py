"""The judge: compares what clients were told, the log, what arrived and what followers saw.

It knows the product only by its promises. Every rule is one function from records to findings;
a finding is a sentence that names the record it is about.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from tests.chaos.doubles import unexplained_doubles
from tests.chaos.records import CHANGES, Arrived, Logged, Open, Records, Told

Rule = Callable[[Records], Iterator[str]]
GRACE = 3.0  # seconds that what has just become due may wait before it counts as stuck
FLOW = 5.0  # seconds within which a destination that has a queue must get something
SENDING = 20.0  # seconds: the longest attempt and some
REFUSALS = range(400, 500)


def judge(records: Records) -> dict[str, list[str]]:
    """Return the findings of every rule; all lists are empty where every promise was kept."""
    return {name: list(rule(records)) for name, rule in RULES.items()}


def lost(records: Records) -> Iterator[str]:
    """What was answered with success is in the log, and what is in the log arrived everywhere.

    A destination that wants the newest state gets the last of each task, whatever it got before.
    """
    by_request = {event.request_id: event for event in _changes(records)}
    for told in records.told:
        event = by_request.get(told.request_id)
        if told.status in range(200, 300) and told.op in CHANGES and not _tells(event, told):
            yield f"{told.op} {told.request_id} was answered {told.status}, the log has {event}"
    arrived = {(one.path, one.seq) for one in records.arrived if one.status in range(200, 300)}
    for event in _changes(records):
        for path in records.paths:
            if (path, event.seq) not in arrived:
                yield f"event {event.seq} never arrived at {path}"
    last = {event.task: event.seq for event in sorted(_changes(records), key=lambda one: one.seq)}
    for task, seq in last.items():
        for path in records.newest:
            if (path, seq) not in arrived:
                yield f"event {seq}, the last of task {task}, never arrived at {path}"


def phantom(records: Records) -> Iterator[str]:
    """Nothing is in the log that nobody asked for or that was refused; nothing else arrived."""
    told = {one.request_id: one for one in records.told}
    for event in _changes(records):
        cause = told.get(event.request_id)
        if cause is None:
            yield f"event {event.seq} has the request {event.request_id!r} that nobody sent"
        elif cause.op not in CHANGES or cause.status in REFUSALS:
            yield f"event {event.seq} tells of {cause.request_id}, refused with {cause.status}"
    logged = {event.seq: event for event in records.logged}
    for one in records.arrived:
        known = logged.get(one.seq)
        tells = (one.event, one.task, one.version)
        if known is None or (known.id, known.task, known.version) != tells:
            yield f"request {one.n} at {one.path} tells of {one.seq}, the log has {known}"


def unsigned(records: Records) -> Iterator[str]:
    """Every request carries a signature that holds."""
    for one in records.arrived:
        if one.signature != "valid":
            yield f"request {one.n} at {one.path}: its signature is {one.signature}"


def doubled(records: Records) -> Iterator[str]:
    """One event for one request; one webhook-id for one event; no second request unexplained."""
    for request_id, count in Counter(event.request_id for event in _changes(records)).items():
        if count > 1:
            yield f"request {request_id} is in the log {count} times"
    ids: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in records.arrived:
        ids[one.path, one.seq].add(one.message)
    for (path, seq), found in ids.items():
        if len(found) > 1:
            yield f"event {seq} arrived at {path} under {len(found)} webhook-ids"
    yield from unexplained_doubles(records)


def out_of_order(records: Records) -> Iterator[str]:
    """Of one task, nothing arrives after something later."""
    last: dict[tuple[str, str], Arrived] = {}
    for one in sorted(records.arrived, key=lambda each: each.n):
        before = last.get((one.path, one.task))
        if before is not None and one.seq < before.seq:
            yield f"at {one.path} event {one.seq} (request {one.n}) came after {before.seq}"
        else:
            last[one.path, one.task] = one


def stuck(records: Records) -> Iterator[str]:
    """15 s after the last fault all that is due is under way, and in the end nothing is left.

    Under way: it is being sent, or waits in a queue that moves. How long a queue is after a storm
    is a matter of the machine; that it moves is not.
    """
    for one in records.open_after:
        late = records.looked_at - one.due
        if one.state == "pending" and not one.held and late > GRACE and not _moves(records, one):
            yield f"delivery {one.id} to {one.destination} has been due for {late:.1f} s"
        if one.state == "leased" and not _is_sent(records, one):
            yield f"delivery {one.id} to {one.destination} is leased, and nobody sends it"
    for one in records.open_at_end:
        yield f"delivery {one.id} to {one.destination} is {_state(one)} in the end"


def seq_gaps(records: Records) -> Iterator[str]:
    """The log is 1, 2, 3 … and nothing else."""
    for place, event in enumerate(records.logged, 1):
        if event.seq != place:
            yield f"place {place} of the log holds {event.seq}"
            return


def follower_gaps(records: Records) -> Iterator[str]:
    """Every follower saw each event that it wants exactly once and in order."""
    for name, types in records.followers.items():
        wanted = [(e.seq, e.id) for e in records.logged if not types or e.type in types]
        frames = [one for one in records.seen if one.follower == name]
        yield from (f"{name} was reset at {one.seq}" for one in frames if one.kind == "reset")
        saw = [(one.seq, one.id) for one in frames if one.kind == "event"]
        if saw != wanted:
            yield f"{name} saw {len(saw)} of {len(wanted)} events; {_first_difference(saw, wanted)}"


RULES: dict[str, Rule] = {
    "lost": lost,
    "phantom": phantom,
    "doubled without a fault": doubled,
    "out of order": out_of_order,
    "stuck": stuck,
    "seq gaps": seq_gaps,
    "follower gaps or doubles": follower_gaps,
    "bad signatures": unsigned,
}


def _changes(records: Records) -> Iterator[Logged]:
    kinds = set(CHANGES.values())
    return (event for event in records.logged if event.type in kinds)


def _tells(event: Logged | None, told: Told) -> bool:
    if event is None or event.type != CHANGES[told.op] or event.task != told.task:
        return False
    return told.op == "delete" or event.version == told.version


def _moves(records: Records, one: Open) -> bool:
    return any(
        came.path == one.destination and abs(came.at - records.looked_at) <= FLOW
        for came in records.arrived
    )


def _is_sent(records: Records, one: Open) -> bool:
    first, last = records.looked_at - SENDING, records.looked_at + FLOW
    return any(one.message == came.message and first <= came.at <= last for came in records.arrived)


def _state(one: Open) -> str:
    return f"{one.state} after {one.attempts} attempts"


def _first_difference(saw: list[tuple[int, str]], wanted: list[tuple[int, str]]) -> str:
    for place, (got, want) in enumerate(zip(saw, wanted, strict=False), 1):
        if got != want:
            return f"its {place}. is {got[0]} instead of {want[0]}"
    return f"it ends with {saw[-1][0] if saw else None}"
