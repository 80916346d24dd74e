"""The rate limit of a destination: strict going in, complete also where the rest is partial."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from tasks_app.api.fields import StrictSerializer, WholeNumber


class RateLimitSerializer(StrictSerializer):
    """At most so many requests in any so many seconds, over all workers."""

    requests = WholeNumber(min_value=1, max_value=100_000)
    seconds = WholeNumber(min_value=1, max_value=86_400)


@extend_schema_field(RateLimitSerializer)
class RateLimit(serializers.Field[Any, Any, Any, Any]):
    """Requests and seconds, or null."""

    def to_internal_value(self, data: Any) -> dict[str, int]:
        """Return both."""
        return dict(READER.run_validation(data))

    def to_representation(self, value: Any) -> Any:
        """Return it as it is."""
        return value


READER: Final = RateLimitSerializer()
