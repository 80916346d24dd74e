"""The settings: what Django's own checks say, and what is right but not for production."""

import os
from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.core.mail import get_connection
from django.core.mail.backends.smtp import EmailBackend

from config.doctor.finding import Finding, fail, ok, warn


def look_at_settings() -> Iterator[Finding]:
    """Django's system checks, for production with those of a deployment."""
    name = os.environ.get("DJANGO_SETTINGS_MODULE", "")
    in_production = name.endswith(".production")
    found = checks.run_checks(include_deployment_checks=in_production)
    for one in found:
        tell = fail if one.level >= checks.ERROR else warn
        yield tell(
            "settings", f"{one.id}: {one.msg}", str(one.hint or "See Django's system checks.")
        )
    if not in_production:
        yield ok("settings", f"{name}: for development; production is config.settings.production")
    elif not found:
        yield ok("settings", name)


def look_at_outbound() -> Iterator[Finding]:
    """Whether anything may go out, and where it may not but can."""
    if not settings.OUTBOUND_ENABLED:
        yield warn(
            "outbound",
            "OUTBOUND_ENABLED is false: nothing is sent, everything waits",
            "Set OUTBOUND_ENABLED=true and restart the workers when it may go out again.",
        )
        return
    open_nets = settings.OUTBOUND_ALLOWED_NETWORKS
    wide = [net for net in open_nets if int(net.partition("/")[2]) < 8]
    if wide:
        yield warn(
            "outbound",
            f"OUTBOUND_ALLOWED_NETWORKS opens {', '.join(wide)} to every member who may configure"
            " a destination",
            "Name the networks that destinations really lie in.",
        )
    else:
        inside = f"and inside into {', '.join(open_nets)}" if open_nets else "not inside"
        yield ok("outbound", f"sends outside, {inside}")


def look_at_mail() -> Iterator[Finding]:
    """Whether mail goes anywhere, by asking the server; nothing is sent."""
    kind = settings.EMAIL_BACKEND.split(".")[-2]
    if kind != "smtp":
        yield warn(
            "mail",
            f"EMAIL_URL sends mail to no server ({kind}): notices and invitations reach nobody",
            "Set EMAIL_URL=smtp+tls://user:password@host:587 and EMAIL_FROM.",
        )
        return
    server, where = get_connection(), f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    assert isinstance(server, EmailBackend)  # noqa: S101 - as the kind says
    try:
        server.open()
    except OSError as error:  # smtplib's errors are some of them
        reason = type(error).__name__
        yield fail("mail", f"{where} refuses us ({reason})", "Check EMAIL_URL and its password.")
        return
    finally:
        server.close()
    if settings.DEFAULT_FROM_EMAIL.endswith(".invalid"):
        sender = settings.DEFAULT_FROM_EMAIL
        yield warn("mail", f"mail comes from {sender}", "Set EMAIL_FROM to an address of yours.")
    else:
        yield ok("mail", f"{where} takes mail from {settings.DEFAULT_FROM_EMAIL}")
