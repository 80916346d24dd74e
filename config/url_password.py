"""A password into an address that has none."""

from urllib.parse import quote, urlsplit, urlunsplit


def with_password(url: str, password: str) -> str:
    """Return the URL with the password, or as it is where it has one, or no host, or none comes."""
    parts = urlsplit(url)
    if not password or parts.password or not parts.hostname:
        return url
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}:{quote(password, safe='')}@{host}"))
