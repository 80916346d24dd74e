"""A verb of the domain for each of the rows that were ticked, and what became of it in words.

Each row is a transaction of its own, as in the API. What one refuses keeps nobody else from it.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from tasks_app.access import Capability
from tasks_app.admin.rights import rights_of
from tasks_app.admin.scoped import Rows, ScopedAdmin
from tasks_app.exceptions import Forbidden, Refusal

MOST: Final = 100  # rows a click
NAMED: Final = 3  # of those that were refused

Verb = Callable[[Any], object]


def each(
    page: ScopedAdmin,
    request: HttpRequest,
    rows: Rows,
    *,
    verb: Verb,
    needs: Capability,
    done: str,
) -> HttpResponse | None:
    """Do it to each row and say so; ``done`` is the verb's past, such as "Retried".

    Nothing is done where more rows are meant than a click may change. It ends early where the
    database does not answer, so that a hundred waits do not add up.
    """
    chosen = list(rows[: MOST + 1])
    if len(chosen) > MOST:
        text = f"At most {MOST} at a time: nothing was done."
        page.message_user(request, text, messages.ERROR)
        return None
    count, refused = 0, defaultdict[str, list[str]](list)
    for row in chosen:
        try:
            _check(page, request, row, needs)
            verb(row)
            count += 1
        except Refusal as refusal:
            refused[_sentence(refusal)].append(str(row))
        except OperationalError:
            refused["The database did not answer in time; the rest was left alone."].append(
                str(row)
            )
            break
    _tell(page, request, f"{done} {_counted(page, count)}.", refused, count)
    return _back(page, request)


def _check(page: ScopedAdmin, request: HttpRequest, row: Any, needs: Capability) -> None:
    if not rights_of(request).may(needs, page.workspace_of(row)):
        raise Forbidden


def _sentence(refusal: Refusal) -> str:
    return " ".join([refusal.detail, *(error.detail for error in refusal.errors)])


def _counted(page: ScopedAdmin, count: int) -> str:
    meta = page.model._meta
    return f"{count} {meta.verbose_name if count == 1 else meta.verbose_name_plural}"


def _tell(
    page: ScopedAdmin,
    request: HttpRequest,
    sentence: str,
    refused: dict[str, list[str]],
    count: int,
) -> None:
    if count:
        page.message_user(request, sentence, messages.SUCCESS)
    for why, names in refused.items():
        shown = "; ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
        text = f"Refused for {_counted(page, len(names))}: {why} ({shown})"
        page.message_user(request, text, messages.WARNING)


def _back(page: ScopedAdmin, request: HttpRequest) -> HttpResponse | None:
    """Return to the page of the one row whose button was pressed; None stays on the list."""
    one = request.POST.get("one")
    if not one:
        return None
    meta = page.model._meta
    return HttpResponseRedirect(
        reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[one])
    )


class ButtonsAdmin(ScopedAdmin):
    """Offers the actions of its list on a row's own page too."""

    change_form_template = "admin/buttons.html"

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Show the page with a button for each action that who looks may take."""
        obj = kwargs.get("obj")
        offered = self.get_actions(request) if obj is not None else {}
        context["buttons"] = [(name, text) for _, name, text in filter(None, offered.values())]
        context["checkbox_name"] = ACTION_CHECKBOX_NAME
        return super().render_change_form(request, context, *args, **kwargs)
