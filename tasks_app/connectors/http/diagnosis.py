"""What an exception on the way out means, in the words of `ErrorCode`.

The details are sentences of our own: what the exception says may hold an inside address, and one
that told "refused" from "closed" for a target we block would make us a port scanner.
"""

import asyncio
import errno
import ssl
from typing import Final

import aiohttp

from tasks_app.connectors.failure import DoorFailure, ErrorCode, Phase
from tasks_app.connectors.last_look import DETAIL, NoLongerOurs
from tasks_app.connectors.name_servers import NoNameServer
from tasks_app.connectors.stopwatch import Stopwatch
from tasks_app.security.ssrf import BlockedTarget

_TIMEOUTS: Final = {
    Phase.DNS: (ErrorCode.DNS_TIMEOUT, "The name was not resolved in time."),
    Phase.CONNECT: (ErrorCode.CONNECT_TIMEOUT, "No connection was made in time."),
    Phase.TLS: (ErrorCode.TLS_TIMEOUT, "The TLS handshake did not end in time."),
    Phase.SEND: (ErrorCode.SEND_TIMEOUT, "The destination did not read the request in time."),
    Phase.HEADERS: (ErrorCode.HEADERS_TIMEOUT, "The destination did not answer in time."),
    Phase.BODY: (ErrorCode.BODY_TIMEOUT, "The destination's answer did not end in time."),
}
_OUR_ERRNOS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_UNREACHED: Final = frozenset({502, 503, 504})
"""What a proxy answers to CONNECT where it is the destination that can't be reached."""

Finding = tuple[ErrorCode, str]


class ProxyRefused(Exception):
    """The proxy itself answered, and not well."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status


def diagnose(error: Exception, watch: Stopwatch) -> DoorFailure:
    """Make the failure that the caller sees of whatever went wrong; ends the stopwatch."""
    duration_ms = watch.stop()
    code, detail = _finding(error, watch)
    return DoorFailure(
        code,
        detail,
        phase=Phase.CONNECT if _is_before_sending(error, code) else watch.phase,
        phases=watch.phases,
        duration_ms=duration_ms,
        status_code=watch.status,
        ours=code in (ErrorCode.FAULT, ErrorCode.PROXY_FAILED),
    )


def _is_before_sending(error: Exception, code: ErrorCode) -> bool:
    """Tell of what is noticed on a connection that stands whether the destination saw nothing."""
    return code is ErrorCode.PROXY_FAILED or isinstance(error, NoLongerOurs)


def _finding(error: Exception, watch: Stopwatch) -> Finding:
    if isinstance(error, NoLongerOurs):
        return ErrorCode.FAULT, DETAIL
    if isinstance(error, BlockedTarget):
        return ErrorCode.ADDRESS_REFUSED, f"The destination is not allowed. {error.detail}"
    if _errno(error) in _OUR_ERRNOS:
        return ErrorCode.FAULT, "This process has no file descriptors or memory left."
    if watch.is_proxied and (found := _at_proxy(error, watch)) is not None:
        return found
    if isinstance(error, asyncio.TimeoutError):
        return _TIMEOUTS[watch.phase]
    return _before_sending(error, watch.phase) or _after_sending(error)


def _at_proxy(error: Exception, watch: Stopwatch) -> Finding | None:
    """Tell the proxy's failures from the destination's. None: as without a proxy."""
    if isinstance(error, ProxyRefused | aiohttp.ClientHttpProxyError):
        if error.status in _UNREACHED:
            return ErrorCode.CONNECT_FAILED, "The proxy can't reach the destination."
        return ErrorCode.PROXY_FAILED, f"The proxy refused the request with {error.status}."
    if watch.phase is not Phase.CONNECT:
        return None
    if not watch.is_fresh:
        return ErrorCode.PROXY_FAILED, "The proxy can't be reached."
    if isinstance(error, asyncio.TimeoutError):
        return None  # it has the request, and waits as we do
    return ErrorCode.PROXY_FAILED, "The proxy did not open a tunnel."


def _errno(error: Exception) -> int | None:
    return error.errno if isinstance(error, OSError) else None


def _before_sending(error: Exception, phase: Phase) -> Finding | None:
    inner = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(inner, NoNameServer):
        return ErrorCode.FAULT, "None of our name servers can be reached."
    if phase is Phase.DNS and isinstance(error, OSError):
        return ErrorCode.DNS_FAILED, "The name could not be resolved."
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ErrorCode.TLS_FAILED, f"The certificate is not good: {_reason(error)}."
    if isinstance(error, aiohttp.ClientSSLError):
        return ErrorCode.TLS_FAILED, "The TLS handshake failed."
    return _connecting(error, phase) if isinstance(error, aiohttp.ClientConnectorError) else None


def _connecting(error: aiohttp.ClientConnectorError, phase: Phase) -> Finding:
    if phase is Phase.TLS:
        return ErrorCode.TLS_FAILED, "The connection was lost in the TLS handshake."
    if error.errno == errno.ECONNREFUSED:
        return ErrorCode.CONNECT_REFUSED, "The destination refused the connection."
    if error.errno == errno.ETIMEDOUT:
        return _TIMEOUTS[Phase.CONNECT]
    return ErrorCode.CONNECT_FAILED, "The destination can't be reached."


def _reason(error: aiohttp.ClientConnectorCertificateError) -> str:
    inner = error.certificate_error
    if isinstance(inner, ssl.SSLCertVerificationError):
        return inner.verify_message.rstrip(".")
    return "it could not be verified"


def _after_sending(error: Exception) -> Finding:
    if isinstance(error, aiohttp.ClientResponseError):
        return ErrorCode.PROTOCOL_ERROR, "The answer is not valid HTTP, or its headers are too big."
    if isinstance(error, aiohttp.ClientPayloadError):
        return ErrorCode.CONNECTION_RESET, "The answer broke off before its end."
    if isinstance(error, aiohttp.ClientConnectionError | ConnectionError):
        return ErrorCode.CONNECTION_RESET, "The destination closed the connection."
    if isinstance(error, aiohttp.http_exceptions.HttpProcessingError):
        return ErrorCode.PROTOCOL_ERROR, "The answer is not valid HTTP."
    return ErrorCode.FAULT, f"We could not send: {type(error).__name__}."
