"""How long clients waited: with a broker, and while it was away or silent."""

from tests.chaos.records import Fault, Records, Told

BROKER = {"broker down", "silent broker", "kill valkey"}
IN_THE_WAY = {"kill api", "kill proxy", "kill postgres", "cut database", "cut followers"}
AROUND = 2.0  # seconds before and after what is in a request's own way that are left out


def waits(records: Records) -> dict[str, str]:
    """Return median and 99th percentile of both in milliseconds; answers with success only."""
    broker = [fault for fault in records.faults if fault.kind in BROKER]
    others = [fault for fault in records.faults if fault.kind in IN_THE_WAY]
    calm: list[float] = []
    without: list[float] = []
    for told in records.told:
        if told.status not in range(200, 300) or _during(told, others, AROUND):
            continue
        if any(fault.began <= told.asked <= fault.ended for fault in broker):
            without.append(told.answered - told.asked)
        elif not _during(told, broker, AROUND):
            calm.append(told.answered - told.asked)
    named = {"answer in ms, with a broker": calm, "answer in ms, without": without}
    return {name: _shown(sorted(found)) for name, found in named.items()}


def settling(records: Records) -> dict[str, str]:
    """Return how long after its answer a delivery was written down as done, faults and all."""
    came = {(one.path, one.seq): one.at for one in records.arrived if one.status == 200}
    took = [
        event.at - came[event.path, event.of]
        for event in records.logged
        if event.type == "task_synced" and (event.path, event.of) in came
    ]
    longest = f", longest {max(took, default=0.0):.1f} s"
    return {"written down after the request, ms": _shown(sorted(took)) + longest}


def _during(told: Told, faults: list[Fault], around: float) -> bool:
    return any(
        told.asked < fault.ended + around and told.answered > fault.began - around
        for fault in faults
    )


def _shown(ordered: list[float]) -> str:
    if not ordered:
        return "none"
    middle, late = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    return f"{middle * 1000:.0f} / {late * 1000:.0f} (p50 / p99 of {len(ordered)})"
