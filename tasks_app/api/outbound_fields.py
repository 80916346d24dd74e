"""Fields that lead outside: vetted when saved by the same guards as when sent."""

from typing import Any, Final

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from tasks_app.api.fields import Text
from tasks_app.connectors.headers import BadHeader, count_headers, vet_headers
from tasks_app.connectors.mapping import EXPRESSION_LENGTH, BadMapping, compiled
from tasks_app.connectors.registry import kinds, schemes
from tasks_app.security.masking import MASK
from tasks_app.security.ssrf import BlockedTarget, vet_url

KINDS: Final = kinds()
"""What the connectors were when the API was made; CONNECTORS can bring more."""


class Url(Text):
    """An address outside: http(s) only, no inside target, nothing that parsers disagree about."""

    def to_internal_value(self, data: Any) -> str:
        """Return it as it came."""
        value = super().to_internal_value(data)
        if value.partition(":")[0] in schemes():
            return value  # not for the Door: its kind's connector checks it
        try:
            vet_url(value, allowed_networks=settings.OUTBOUND_ALLOWED_NETWORKS)
        except BlockedTarget as blocked:
            raise ValidationError(blocked.detail, blocked.code) from blocked
        return value


class Mapping(Text):
    """A JMESPath expression."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": EXPRESSION_LENGTH, **options})

    def to_internal_value(self, data: Any) -> str:
        """Return it as it came, if it is one."""
        value = super().to_internal_value(data)
        try:
            compiled(value)
        except BadMapping as bad:
            raise ValidationError(str(bad), "bad_expression") from bad
        return value


class Headers(serializers.DictField):
    """Headers that a destination adds; none that frames the message or proves anything."""

    child = Text(allow_blank=True)

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return them as they came."""
        if not isinstance(data, dict):
            self.fail("not_a_dict", input_type=type(data).__name__)
        try:
            count_headers(data)
            values: dict[str, str] = super().to_internal_value(data)
            # The mask stands for a value that was vetted when it came.
            vet_headers({name: "" if value == MASK else value for name, value in values.items()})
        except BadHeader as bad:
            wrong = ErrorDetail(bad.detail, bad.code)
            raise ValidationError({bad.name: [wrong]} if bad.name else [wrong]) from bad
        return values
