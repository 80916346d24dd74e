"""The form of a task: only what was changed in it is written, and only to what was seen."""

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget

from tasks_app.actions.task import EDITABLE
from tasks_app.admin.recorded import RefusableForm
from tasks_app.admin.task_fields import Labels, Line, Metadata, Prose, Verbatim
from tasks_app.models import Task
from tasks_app.models.task import DESCRIPTION_MAX, LABEL_MAX, LABELS_MAX, TITLE_MAX

WIDE = AdminTextInputWidget


class TaskForm(RefusableForm):
    """``seen`` is the version that the page was made of."""

    title = Line(max_length=TITLE_MAX, widget=WIDE(attrs={"size": 80}))
    external_id = Verbatim(max_length=200, required=False, empty_value=None, widget=WIDE)
    description = Prose(max_length=DESCRIPTION_MAX)
    assignee = Line(max_length=150, required=False, blank=True, widget=WIDE)
    labels = Labels(most=LABELS_MAX, longest=LABEL_MAX, help_text="One a line.")
    metadata = Metadata(help_text="A JSON object.")
    seen = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Task
        fields = [*EDITABLE, "workspace"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["seen"] = self.instance.version

    def clean(self) -> dict[str, Any]:
        """Refuse a change that does not say of what."""
        values = super().clean()
        if not self.instance._state.adding and values.get("seen") is None:
            self.add_error(None, "The version is missing: open the page again.")
        return values

    def given(self) -> dict[str, Any]:
        """Return what was changed, as the action takes it."""
        names = [name for name in self.changed_data if name in EDITABLE]
        kept = self.initial.get("due_at")
        if (
            "due_at" in names
            and kept
            and self.cleaned_data["due_at"] == kept.replace(microsecond=0)
        ):
            names.remove("due_at")  # the form has no fractions of a second
        return {name: self.cleaned_data[name] for name in names}
