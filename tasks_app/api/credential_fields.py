"""Credentials and certificates of a destination: strict going in, never told in full.

A secret member is shown as a mask. The mask sent back keeps what is there, so that a whole
destination may be read, changed and sent back.
"""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

from tasks_app.api.fields import StrictSerializer, Text, Word
from tasks_app.api.outbound_fields import Headers, Url
from tasks_app.security.masking import MASK

SECRET_MAX: Final = 4_096
PEM_MAX: Final = 65_536
KEEPS: Final = f"Never shown: {MASK} says that it is set, and sent back keeps it."
WRONG: Final = "Only printable ASCII without spaces goes into this."


class Credential(Text):
    """Text that goes into a header or a form as it is: printable, ASCII unless said otherwise."""

    def __init__(self, *, ascii_only: bool = False, without: str = "", **options: Any) -> None:
        self.ascii_only = ascii_only
        self.without = without
        super().__init__(**{"max_length": SECRET_MAX, **options})

    def to_internal_value(self, data: Any) -> str:
        """Return it as it came."""
        value = super().to_internal_value(data)
        if value == MASK:
            return value
        if not value.isprintable() or (self.ascii_only and (not value.isascii() or " " in value)):
            raise ValidationError(WRONG if self.ascii_only else "This has control characters.")
        if any(sign in value for sign in self.without):
            raise ValidationError(f"This must be without {self.without!r}.", "character_refused")
        return value


class BasicSerializer(StrictSerializer):
    """HTTP Basic (RFC 7617)."""

    type = Word(choices=["basic"])
    username = Credential(without=":", allow_blank=True)
    password = Credential(allow_blank=True, help_text=KEEPS)


class BearerSerializer(StrictSerializer):
    """A token of the destination's (RFC 6750)."""

    type = Word(choices=["bearer"])
    token = Credential(ascii_only=True, help_text=KEEPS)


class SecretHeadersSerializer(StrictSerializer):
    """Headers whose values are secret, such as X-Api-Key."""

    type = Word(choices=["headers"])
    headers = Headers(allow_empty=False, help_text=KEEPS)


class OAuth2Serializer(StrictSerializer):
    """OAuth 2 client credentials (RFC 6749 §4.4): we get a token and use it while it is good."""

    type = Word(choices=["oauth2"])
    token_url = Url(max_length=2048)
    client_id = Credential()
    client_secret = Credential(help_text=KEEPS)
    scope = Credential(default="", allow_blank=True)
    audience = Credential(default="", allow_blank=True)
    client_auth = Word(
        choices=["header", "body"],
        default="header",
        help_text="Where the client shows its secret (RFC 6749 §2.3.1).",
    )


TYPES: Final[Mapping[str, StrictSerializer]] = {
    "basic": BasicSerializer(),
    "bearer": BearerSerializer(),
    "headers": SecretHeadersSerializer(),
    "oauth2": OAuth2Serializer(),
}


@extend_schema_field(
    PolymorphicProxySerializer(
        component_name="DestinationAuth",
        serializers={name: type(reader) for name, reader in TYPES.items()},
        resource_type_field_name="type",
    )
)
class Auth(serializers.Field[Any, Any, Any, Any]):
    """Credentials of one of the types, or null."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return them, complete with defaults."""
        if not isinstance(data, dict):
            raise ValidationError("This is an object with a type, or null.", "not_an_object")
        reader = TYPES.get(data["type"]) if isinstance(data.get("type"), str) else None
        if reader is None:
            listed = ", ".join(TYPES)
            wrong = ErrorDetail(f"The type is one of {listed}.", "invalid_choice")
            raise ValidationError({"type": [wrong]})
        return dict(reader.run_validation(data))

    def to_representation(self, value: Any) -> Any:
        """Return the outline."""
        return value


class Pem(Text):
    """Certificates or a key in PEM; vetted together, when the destination is saved."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=PEM_MAX, allow_null=True, default=None, **options)


class TlsSerializer(StrictSerializer):
    """Mutual TLS, and an authority of the destination's own."""

    certificate = Pem(help_text="Ours, followed by its chain, in PEM.")
    key = Pem(help_text=f"The certificate's, without a password. {KEEPS}")
    ca = Pem(help_text="Whom to trust instead of the system's authorities.")


@extend_schema_field(TlsSerializer)
class Tls(serializers.Field[Any, Any, Any, Any]):
    """Certificates, or null; an object without any is null."""

    def to_internal_value(self, data: Any) -> dict[str, Any] | None:
        """Return all three, null where one is not given."""
        given = dict(TLS.run_validation(data))
        return given if any(given.values()) else None

    def to_representation(self, value: Any) -> Any:
        """Return the outline."""
        return value


TLS: Final = TlsSerializer()
