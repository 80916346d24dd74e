"""The file of an import, read from any byte on, one part at a time."""

from collections.abc import Iterator
from typing import Any

from tasks_app.exchange.records import Record, csv_records, ndjson_records
from tasks_app.exchange.upload import PART
from tasks_app.models import ImportChunk, ImportFormat, ImportJob


def records(job: ImportJob) -> Iterator[Record]:
    """Yield the records after the import's offset."""
    pieces = _pieces(job, job.offset)
    if job.format == ImportFormat.NDJSON:
        return ndjson_records(pieces)
    return csv_records(pieces, delimiter=job.delimiter)


def _pieces(job: ImportJob, offset: int) -> Iterator[bytes]:
    number, skip = divmod(offset, PART)
    while True:
        part: Any = ImportChunk.objects.filter(job=job, number=number)
        data = part.values_list("data", flat=True).first()
        if data is None:
            return
        yield bytes(data)[skip:]
        number, skip = number + 1, 0
