"""A certificate authority that issues to servers and clients, as PEM, for real TLS handshakes."""

import datetime
import ipaddress
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """One root; its certificates are good from yesterday until tomorrow, unless said otherwise."""

    def __init__(self, name: str = "Test authority") -> None:
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._made(name, self._key, ca=True).public_bytes(PEM).decode()

    def issue(self, name: str, *, ends: datetime.timedelta = DAY, begins: float = -1) -> Issued:
        """Issue to a name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._made(name, key, ca=False, begins=begins * DAY, ends=ends)
        return Issued(made.public_bytes(PEM).decode(), pem(key))

    def server(self, name: str = "127.0.0.1", *, asks: ssl.VerifyMode) -> ssl.SSLContext:
        """Return a server's context that asks clients for a certificate of this authority."""
        issued = self.issue(name)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=self.ca)
        context.verify_mode = asks
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "server.pem"
            path.write_text(issued.key + issued.certificate)
            context.load_cert_chain(path)
        return context

    def _made(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = DAY,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named(self._name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + (begins if begins < ends else ends - DAY))
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
        )
        return strict(made, key, self._key, ca=ca).sign(self._key, hashes.SHA256())


PEM = serialization.Encoding.PEM


def strict(
    made: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    issuer: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.CertificateBuilder:
    """Add what RFC 5280 §4.2.1 asks for; Python refuses certificates without it from 3.13 on."""
    usage = x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    whose = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return (
        made.add_extension(usage, critical=True)
        .add_extension(whose, critical=False)
        .add_extension(by, critical=False)
    )


def pem(key: ec.EllipticCurvePrivateKey, *, password: str = "") -> str:
    """Return a private key in PEM."""
    guard: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        guard = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, guard).decode()


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name.replace(" ", "-"))


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
