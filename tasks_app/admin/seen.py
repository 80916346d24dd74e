"""What a page was made of: a digest of what it showed, compared before anything is written.

For rows that carry no version. Whoever locks the row compares; what has changed meanwhile is
refused, for the one who typed did not see it.
"""

import hashlib
import json
from typing import Any, ClassVar, Final

from django import forms
from django.db.models import Model
from django.http import HttpRequest

from tasks_app.admin.recorded import RefusableForm
from tasks_app.exceptions import StaleVersion

SEEN: Final = "seen"
CHANGED: Final = (
    "Somebody has changed this since the page was made. Nothing of yours was written: open it"
    " again."
)


def digest_of(row: Model, names: tuple[str, ...]) -> str:
    """Return a digest of these fields of a row, which are all on the page anyway."""
    shown = json.dumps([str(getattr(row, name)) for name in names])
    return hashlib.sha256(shown.encode()).hexdigest()


def refuse_unseen(row: Model, names: tuple[str, ...], seen: str) -> None:
    """Raise StaleVersion where a row, which is locked, is not as it was seen."""
    if digest_of(row, names) != seen:
        raise StaleVersion(CHANGED)


def seen_on_asking(request: HttpRequest, row: Model) -> str:
    """Return the digest with which a page asked whether a row is to go."""
    return request.POST.get(f"{SEEN}-{row.pk}", "")


class SeenForm(RefusableForm):
    """``seen`` is the digest of ``shows`` as the page was made."""

    shows: ClassVar[tuple[str, ...]] = ()
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.fields.pop(SEEN, None)
        else:
            self.initial[SEEN] = digest_of(self.instance, self.shows)

    def changed_fields(self) -> list[str]:
        """Return the names of what was changed on the page."""
        return [name for name in self.changed_data if name != SEEN]
