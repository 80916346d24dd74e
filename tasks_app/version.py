"""The one place that says which version this is; the User-Agent of deliveries carries it."""

from typing import Final

VERSION: Final = "0.1.0"
