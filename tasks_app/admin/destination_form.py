"""The form of a destination: what its connector needs to know, and nothing that is secret.

Credentials, headers, certificates and chains are set through the API, which never gives a secret
back either; a page would have to hold them in its fields.
"""

import re
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError

from tasks_app.admin.recorded import RefusableForm
from tasks_app.admin.task_fields import Line, Prose, Verbatim
from tasks_app.connectors.mapping import EXPRESSION_LENGTH, BadMapping, compiled
from tasks_app.connectors.registry import kinds, schemes
from tasks_app.events.catalogue import SUBSCRIBABLE
from tasks_app.events.snapshot import moment
from tasks_app.models import Destination
from tasks_app.models.destination import default_events, default_retry_schedule
from tasks_app.security.ssrf import BlockedTarget, vet_url

WIDE: Final = AdminTextInputWidget(attrs={"size": 80})
RETRIES_MAX: Final = 30
RETRY_SECONDS_MAX: Final = 4 * 24 * 3600
ALL: Final = "*"


class Address(Verbatim):
    """An address outside: vetted as the API vets it."""

    def validate(self, value: Any) -> None:
        """Refuse inside targets and what parsers disagree about."""
        super().validate(value)
        if not value or value.partition(":")[0] in schemes():
            return
        try:
            vet_url(value, allowed_networks=settings.OUTBOUND_ALLOWED_NETWORKS)
        except BlockedTarget as blocked:
            raise ValidationError(blocked.detail) from blocked


class Expression(Prose):
    """A JMESPath expression, or none."""

    def validate(self, value: Any) -> None:
        """Refuse what is none."""
        super().validate(value)
        try:
            compiled(value) if value else None
        except BadMapping as bad:
            raise ValidationError(str(bad)) from bad


class Seconds(forms.CharField):
    """Seconds between attempts, with commas."""

    def prepare_value(self, value: Any) -> Any:
        """Show the numbers."""
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the numbers."""
        parts = [part.strip() for part in (super().to_python(value) or "").split(",")]
        parts = [] if parts == [""] else parts
        if len(parts) > RETRIES_MAX or not all(re.fullmatch("[0-9]{1,6}", part) for part in parts):
            raise ValidationError(f"At most {RETRIES_MAX} whole numbers, with commas between them.")
        return [int(part) for part in parts]

    def validate(self, value: Any) -> None:
        """Refuse waits that are none or outlast every delivery."""
        if not all(1 <= seconds <= RETRY_SECONDS_MAX for seconds in value):
            raise ValidationError(f"Each is within 1 and {RETRY_SECONDS_MAX}.")

    def run_validators(self, value: Any) -> None:
        """Leave it at that: the validators of a text know no list."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare the numbers."""
        try:
            return bool((initial or []) != self.to_python(data))
        except ValidationError:
            return True


class DestinationForm(RefusableForm):
    """``seen`` is when the destination had last been changed as the page was made."""

    name = Line(max_length=100, widget=WIDE)
    kind = forms.ChoiceField(choices=lambda: [(kind, kind) for kind in kinds()])
    url = Address(label="URL", max_length=2048, widget=WIDE)
    events = forms.MultipleChoiceField(
        choices=[(ALL, "all")] + [(str(one), str(one)) for one in sorted(SUBSCRIBABLE)],
        widget=forms.CheckboxSelectMultiple,
        initial=default_events,
    )
    max_concurrency = forms.IntegerField(min_value=1, max_value=100, initial=10)
    timeout = forms.IntegerField(
        min_value=1, max_value=60, initial=15, help_text="Seconds, all in all."
    )
    retry_schedule = Seconds(required=False, initial=default_retry_schedule, widget=WIDE)
    mapping = Expression(
        max_length=EXPRESSION_LENGTH,
        help_text="JMESPath over the event: what is sent in place of the kind's own body.",
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Destination
        fields = [
            *("workspace", "name", "kind", "url", "events", "mode", "max_concurrency", "timeout"),
            *("retry_schedule", "mapping"),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["seen"] = moment(self.instance.updated_at)
            self.fields.pop("kind")  # which it keeps

    def clean(self) -> dict[str, Any]:
        """Refuse a change that does not say of what."""
        values = super().clean()
        if not self.instance._state.adding and not values.get("seen"):
            self.add_error(None, "It is missing what this page was made of: open it again.")
        return values

    def given(self) -> dict[str, Any]:
        """Return what was changed, as the action takes it."""
        names = set(self.changed_data) - {"workspace", "seen"}
        values = {name: self.cleaned_data[name] for name in names}
        return {n: None if n == "mapping" and not v else v for n, v in values.items()}
