"""A part of an address that may be any text: the ids of other systems have slashes, and worse."""

from django.urls.converters import StringConverter


class AnyText(StringConverter):
    """Anything up to the address's last slash."""

    regex = r"[\s\S]+"
