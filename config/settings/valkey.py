"""Where Valkey is: one for the broker, and where there are two, another for what may be lost.

Passwords may come apart from the addresses (``REDIS_PASSWORD_FILE``), so that an address can
stand in a file that everybody may read.
"""

from redis.connection import parse_url

from config.env import env
from config.url_password import with_password


def valkey_address(url: str, password: str = "") -> str:
    """Return a redis://, rediss:// or unix:// address; raises ValueError where it is none."""
    parse_url(url)  # type: ignore[no-untyped-call]
    return with_password(url, password)


REDIS_URL = env.parsed(
    "REDIS_URL", None, lambda url: valkey_address(url, env.text("REDIS_PASSWORD", ""))
)
# The channel layer and rate limits, or empty for the same one: with a server of their own, no
# flood there stops a bell.
CACHE_URL = env.parsed(
    "CACHE_URL", "", lambda url: url and valkey_address(url, env.text("CACHE_PASSWORD", ""))
)
