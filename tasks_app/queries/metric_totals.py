"""What all processes have counted so far, as families for Prometheus."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import orjson
from django.db.models import F
from django.db.models.functions import Now
from prometheus_client.core import Metric

from tasks_app.models import MetricReport
from tasks_app.observability.metric_report import EVERY, GAUGES, added
from tasks_app.observability.metrics import REGISTRY

SILENCE: Final = timedelta(seconds=3 * EVERY)  # a gauge of a process silent for longer is gone


def totals() -> Iterator[Metric]:
    """Yield every counter and histogram, and each gauge of those that live, added up."""
    rows = MetricReport.objects.annotate(lives_since=Now() - F("seen_at")).values_list(
        "samples", "lives_since"
    )
    told = [_of_a_moment(samples, alive=silent < SILENCE) for samples, silent in rows]
    by_name: dict[str, list[tuple[dict[str, str], float]]] = {}
    for key, value in added(told).items():
        name, labels = orjson.loads(key)
        by_name.setdefault(name, []).append((dict(labels), value))
    for family in REGISTRY.collect():
        yield _family(family, by_name)


def _of_a_moment(samples: dict[str, float], *, alive: bool) -> dict[str, float]:
    if alive:
        return samples
    return {k: v for k, v in samples.items() if orjson.loads(k)[0] not in GAUGES}


def _family(family: Metric, by_name: dict[str, list[tuple[dict[str, str], float]]]) -> Metric:
    made = Metric(family.name, family.documentation, family.type)
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    for suffix in suffixes[family.type]:
        name = f"{family.name}{suffix}"
        rows = by_name.get(name, [])
        for labels, value in sorted(rows, key=_bucket_order):
            made.add_sample(name, labels, value)
        if not rows and suffix in {"", "_total"} and not _is_labelled(family):
            made.add_sample(name, {}, 0.0)
    return made


def _is_labelled(family: Metric) -> bool:
    return all(sample.labels for sample in family.samples)


def _bucket_order(row: tuple[dict[str, str], float]) -> tuple[list[str], float]:
    """Order the buckets of a histogram by their bound, as the text format wants it."""
    labels = dict(row[0])
    bound = float(labels.pop("le", "0"))
    return [f"{name}={value}" for name, value in sorted(labels.items())], bound
