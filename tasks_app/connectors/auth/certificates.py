"""Certificates of a destination: ours for mutual TLS, and the authority that it is checked by.

Vetted when they are saved, with a pointer to what is wrong; made into a context once for each
version, off the event loop (20 ms). The private key touches the disk only under a password of its
own, because OpenSSL reads it from nowhere else.
"""

import asyncio
import os
import ssl
import tempfile
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

MOST: Final = 256
"""Contexts kept; one holds about 1 MB where it trusts the system's authorities."""


class BadCertificate(ValueError):
    """A certificate, key or authority that can't be used. `name` says which one."""

    def __init__(self, name: str, code: str, detail: str) -> None:
        super().__init__(detail)
        self.name = name
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """PEM texts; empty where there is none. With `ca`, only that authority is trusted."""

    certificate: str = ""
    key: str = field(default="", repr=False)
    ca: str = ""

    @classmethod
    def read(cls, kept: Mapping[str, Any]) -> "Certificates":
        """Read what was kept."""
        return cls(**{name: text or "" for name, text in kept.items()})


def vet_certificates(given: Certificates, *, now: datetime) -> None:
    """Refuse what could never work. `now` is aware. Raises BadCertificate.

    Codes: incomplete not_pem certificate_expired certificate_not_yet_valid key_protected
    key_does_not_match unusable.
    """
    if bool(given.certificate) != bool(given.key):
        missing = "key" if given.certificate else "certificate"
        raise BadCertificate(missing, "incomplete", "A certificate and its key go together.")
    if given.certificate:
        first = _read_chain("certificate", given.certificate, now)[0]
        _vet_key(given.key, first)
    if given.ca:
        _read_chain("ca", given.ca, now)
    try:
        build_context(given)
    except (ssl.SSLError, ValueError):
        name = "certificate" if given.certificate else "ca"
        raise BadCertificate(name, "unusable", "OpenSSL refuses it.") from None


def _read_chain(name: str, text: str, now: datetime) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise BadCertificate(name, "not_pem", "This is not a certificate in PEM.") from None
    for one in chain:
        if one.not_valid_after_utc <= now:
            raise BadCertificate(name, "certificate_expired", "This certificate has expired.")
        if one.not_valid_before_utc > now:
            detail = "This certificate is not valid yet."
            raise BadCertificate(name, "certificate_not_yet_valid", detail)
    return chain


def _vet_key(text: str, certificate: x509.Certificate) -> None:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        detail = "The key is protected by a password; give it without."
        raise BadCertificate("key", "key_protected", detail) from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate("key", "not_pem", "This is not a private key in PEM.") from None
    shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*shape) != certificate.public_key().public_bytes(*shape):
        detail = "The key is not that of the certificate (the first one in its file)."
        raise BadCertificate("key", "key_does_not_match", detail)


def build_context(given: Certificates) -> ssl.SSLContext:
    """Make the context. Blocking; raises ssl.SSLError and ValueError."""
    context = ssl.create_default_context(cadata=given.ca or None)
    if given.certificate:
        password = b64encode(os.urandom(24))
        key = load_pem_private_key(given.key.encode(), password=None).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password)
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "client.pem"
            path.write_bytes(key + given.certificate.encode())
            context.load_cert_chain(path, password=password)
    return context


class Contexts:
    """The contexts of one process, by destination and version; the oldest go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], asyncio.Task[ssl.SSLContext]] = OrderedDict()
        self._turn = asyncio.Lock()

    async def context(self, destination: str, version: str, given: Certificates) -> ssl.SSLContext:
        """Return the context, built once however many ask. Raises ssl.SSLError and ValueError."""
        key = (destination, version)
        building = self._kept.get(key)
        if building is None or (building.done() and _failed(building)):
            building = asyncio.create_task(self._build(given))
            self._kept[key] = building
        self._kept.move_to_end(key)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return await asyncio.shield(building)

    async def _build(self, given: Certificates) -> ssl.SSLContext:
        """Build one at a time: many at once, after a start, would starve the loop of its core."""
        async with self._turn:
            return await asyncio.to_thread(build_context, given)


def _failed(building: "asyncio.Task[ssl.SSLContext]") -> bool:
    return building.cancelled() or building.exception() is not None
