"""What comes with `POST imports/`: a file, raw or in a form, and how to read it."""

from dataclasses import dataclass
from typing import Any, Final, cast

from django.core.files.uploadhandler import FileUploadHandler
from django.http import QueryDict, UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from tasks_app.api.arriving import Body
from tasks_app.api.pagination import refused
from tasks_app.exceptions import FieldError, Invalid
from tasks_app.exchange.header import Layout, check_delimiter, csv_layout, ndjson_layout
from tasks_app.exchange.upload import Upload
from tasks_app.models import ImportFormat

PIECE: Final = 64 * 1024
OPTIONS: Final = ("format", "delimiter", "dry_run")
FORM: Final = "multipart/form-data"
CSV, NDJSON = ImportFormat.CSV.value, ImportFormat.NDJSON.value
MEDIA_TYPES: Final = {
    "text/csv": CSV,
    "application/csv": CSV,
    "application/vnd.ms-excel": CSV,
    "text/tab-separated-values": CSV,
    "application/x-ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "application/x-jsonlines": NDJSON,
}
UNTOLD: Final = frozenset({"", "application/octet-stream", "text/plain"})
ENDINGS: Final = {"csv": CSV, "tsv": CSV, "ndjson": NDJSON, "jsonl": NDJSON}


@dataclass(slots=True)
class Given:
    """What was said of the file."""

    options: dict[str, str]
    media_type: str = ""
    filename: str = ""
    files: int = 0

    @property
    def file_format(self) -> str:
        """Return how it is written. Raises Invalid where nobody says."""
        asked = self.options.get("format")
        if asked is not None and asked not in ImportFormat.values:
            known = ", ".join(ImportFormat.values)
            raise _refused("/format", "invalid_choice", f"The format is one of {known}.")
        ending = self.filename.rpartition(".")[2].lower()
        found = asked or MEDIA_TYPES.get(self.media_type) or ENDINGS.get(ending)
        if found is None:
            raise _refused("/format", "required", "Name the format: csv or ndjson.")
        return found

    @property
    def is_dry(self) -> bool:
        """Tell whether to look only. Raises Invalid."""
        text = self.options.get("dry_run", "false")
        if text not in {"true", "false"}:
            raise _refused("/dry_run", "invalid", "This is true or false.")
        return text == "true"

    def layout(self, first: bytes) -> Layout:
        """Return where rows begin. Raises Invalid."""
        declared = self.options.get("delimiter")
        if self.file_format == NDJSON:
            if declared is not None:
                raise _refused("/delimiter", "not_applicable", "Only CSV has a delimiter.")
            return ndjson_layout(first)
        return csv_layout(first, delimiter=check_delimiter(declared) if declared else "")


def asked_of(request: Request) -> Given:
    """Return what the query and the headers say, before a byte is read.

    Raises Invalid, and UnsupportedMediaType.
    """
    for name in request.query_params:
        if name not in (*OPTIONS, "workspace"):
            raise refused(name[:100], "unknown_parameter", "There is no such parameter.")
    given = Given(_options(request.query_params))
    django_request = request._request
    given.media_type = (django_request.content_type or "").lower()
    charset = (django_request.content_params or {}).get("charset", "utf-8").lower()
    known = (*MEDIA_TYPES, *UNTOLD, FORM)
    if given.media_type not in known or charset not in {"utf-8", "utf8"}:
        raise UnsupportedMediaType(given.media_type)
    return given


def receive(request: Request, given: Given, upload: Upload) -> None:
    """Read the body to its end, the file of it into the upload. Raises Invalid and TooLarge."""
    body = Body(request)
    try:
        if given.media_type == FORM:
            _receive_form(request, body, given, upload)
        else:
            while data := body.read(PIECE):
                upload.write(data)
    except UnreadablePostError as error:
        raise Invalid("The body ended early.") from error
    upload.finish()


def _receive_form(request: Request, body: Body, given: Given, upload: Upload) -> None:
    meta = {**request.META, "CONTENT_LENGTH": request.META.get("CONTENT_LENGTH") or "1"}
    try:
        fields, _ = MultiPartParser(
            meta, cast("Any", body), [_Into(upload, given)], "utf-8"
        ).parse()
    except MultiPartParserError as error:
        raise Invalid(f"The form can't be read: {error}") from error
    while body.read(PIECE):  # whatever stands after the form
        pass
    for name in fields:
        if name not in OPTIONS:
            raise _refused(f"/{name[:100]}", "unknown_field", "There is no such field.")
    for name, value in _options(fields).items():
        if name in given.options:
            raise _refused(f"/{name}", "repeated", "This is in the query as well.")
        given.options[name] = value
    if not given.files:
        raise _refused("/file", "required", "The form has no file.")


def _options(given: QueryDict) -> dict[str, str]:
    found = {name: given.getlist(name) for name in OPTIONS if name in given}
    for name, values in found.items():
        if len(values) > 1:
            raise _refused(f"/{name}", "repeated", "This is given twice.")
    return {name: values[0] for name, values in found.items()}


class _Into(FileUploadHandler):
    """Hands the form's one file on as it comes in."""

    def __init__(self, upload: Upload, given: Given) -> None:
        super().__init__()
        self._upload, self._given = upload, given

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        """Refuse all but one file with the right name."""
        super().new_file(*args, **kwargs)
        self._given.files += 1
        if self.field_name != "file" or self._given.files > 1:
            raise _refused(f"/{self.field_name}"[:100], "unknown_field", "There is one file: file.")
        name = "".join(sign for sign in str(self.file_name) if sign.isprintable())
        self._given.filename = name[-200:]
        self._given.media_type = (self.content_type or "").lower()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Pass it on, and keep nothing."""
        self._upload.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        """There is no file of ours."""


def _refused(pointer: str, code: str, detail: str) -> Invalid:
    return Invalid(errors=(FieldError(pointer, code, detail),))
