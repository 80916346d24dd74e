"""Asks before what cannot be taken back, and remembers in which version it was shown."""

from typing import Any, Final

from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tasks_app.admin.scoped import Rows, ScopedAdmin
from tasks_app.exceptions import Invalid

SEEN: Final = "seen-"
SHOWN_MOST: Final = 101  # one more than a click may change


def asked(
    page: ScopedAdmin, request: HttpRequest, rows: Rows, *, action: str, question: str
) -> HttpResponse:
    """Show what was ticked and ask; the answer comes back as the same action, ``confirmed``."""
    context: dict[str, Any] = {
        **page.admin_site.each_context(request),
        "title": "Are you sure?",
        "question": question,
        "action": action,
        "rows": list(rows[:SHOWN_MOST]),
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "opts": page.opts,
    }
    return render(request, "admin/asked.html", context)


def seen_of(request: HttpRequest, pk: str) -> int:
    """Return the version in which a row was shown. Raises Invalid where it is missing."""
    text = request.POST.get(SEEN + pk, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Invalid("The version is missing: open the page again.")
    return int(text)
