"""Pages that change something: through actions alone, so it is recorded, delivered and streamed.

What an action refuses is shown in the form, with all that was typed. Django's own journal is not
kept for these: the workspace's log tells who changed what, whichever way they came.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from tasks_app.admin.scoped import ScopedAdmin
from tasks_app.exceptions import Refusal
from tasks_app.models import Task

if TYPE_CHECKING:
    Form = forms.ModelForm[Any]
else:
    Form = forms.ModelForm
_REFUSAL: Final = "aftercommit_refusal"


class RefusableForm(Form):
    """A form that can be shown a second time, with what the action refused."""

    refusal: ClassVar[Refusal | None] = None

    def clean(self) -> dict[str, Any]:
        """Put each refusal beside its field."""
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if self.refusal is not None:
            for field, text in told(self.refusal):
                self.add_error(field if field in self.fields else None, text)
        return values


def told(refusal: Refusal) -> list[tuple[str, str]]:
    """Return each thing that is wrong with the name of its field, or an empty one."""
    if not refusal.errors:
        return [("", refusal.detail)]
    return [
        (error.pointer.split("/")[1] if "/" in error.pointer else "", error.detail)
        for error in refusal.errors
    ]


class RefusingAdmin(ScopedAdmin):
    """Shows what was refused in the form, which is a ``RefusableForm``."""

    form = RefusableForm

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        """Return the form of this request, which knows what was refused just now."""
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, _REFUSAL, None)
        return form

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show or take the form; what is refused is rolled back and told in it."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refusal as refusal:
            setattr(request, _REFUSAL, refusal)
            return super().changeform_view(request, *args, **kwargs)


class RecordedAdmin(RefusingAdmin):
    """Subclasses call actions in ``save_model`` and ``delete_model``, and nothing else.

    ``asks`` is what is said where a deletion is confirmed; ``seen`` is what is compared then.
    """

    asks: ClassVar[str] = "Its log stays."
    delete_confirmation_template = "admin/delete_seen.html"

    def seen(self, obj: Any) -> str:
        """Return in which version the page that asks shows a row; empty where any will do."""
        return ""

    def render_delete_form(self, request: HttpRequest, context: Any) -> Any:
        """Ask in words of the model's own."""
        told = {"asks": self.asks, "seen": self.seen(context["object"])}
        return super().render_delete_form(request, {**context, **told})

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Ask, or delete; what is refused leads back to the page that shows how it is now."""
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refusal as refusal:
            self.message_user(request, _joined(refusal), messages.ERROR)
            name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
            return HttpResponseRedirect(reverse(name, args=[unquote(object_id)]))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name what goes, without looking for what belongs to it: a million rows."""
        allowed = all(self.has_delete_permission(request, obj) for obj in objs)
        return [str(obj) for obj in objs], {}, set() if allowed else {self.opts.verbose_name}, []

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer no deletion that is not an action of ours."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponseRedirect:
        """Lead to the log, in which the whole history is."""
        row = self.get_object(request, unquote(object_id))
        if row is None or not self.has_view_permission(request, row):
            raise PermissionDenied
        asked = {"q": str(row.pk)} if isinstance(row, Task) else {"workspace": self.where(row)}
        return HttpResponseRedirect(
            f"{reverse('admin:tasks_app_event_changelist')}?{urlencode(asked)}"
        )

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave it to the log."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave it to the log."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Leave it to the log."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save nothing: the action has."""


def _joined(refusal: Refusal) -> str:
    return " ".join(text for _, text in told(refusal))
