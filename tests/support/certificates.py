"""A certificate authority of one test run, so that TLS is tested with real handshakes."""

import datetime
import ssl
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.authority import strict


@dataclass(frozen=True)
class Trust:
    """A server's context for `hooks.example`, a client's that trusts its authority, and that."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: bytes  # PEM


@cache
def trust(name: str = "hooks.example") -> Trust:
    """Make an authority and a certificate for one name."""
    authority, leaf = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    root = _certificate("Test authority", authority, "Test authority", authority, authority_of=True)
    cert = _certificate(name, leaf, "Test authority", authority, authority_of=False)
    pem = serialization.Encoding.PEM
    key = leaf.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        path.write_bytes(key + cert.public_bytes(pem))
        server.load_cert_chain(path)
    authority_pem = root.public_bytes(pem)
    client = ssl.create_default_context(cadata=authority_pem.decode())
    return Trust(server, client, authority_pem)


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority_of: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority_of, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    return strict(made, key, issuer_key, ca=authority_of).sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
