"""Mail to a real SMTP server: one message an event, to all or to none, whatever the server does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tasks_app.actions.destination import ping_destination
from tasks_app.actions.task import create_task, delete_task, update_task
from tasks_app.connectors.mail.letter import recipients, subject_of, text_of
from tasks_app.delivery.beats import Beats
from tasks_app.models import Attempt, Delivery, Destination, Workspace
from tests.support.certificates import trust
from tests.support.engine import deliver, make_due, states, to
from tests.support.factories import cause
from tests.support.receiver import closed_port
from tests.support.sink import sink
from tests.support.smtp_server import SmtpServer, smtp_server
from tests.support.threads import in_thread, until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def post(settings: Settings) -> Iterator[SmtpServer]:
    """Run a mail server, and send there."""
    with smtp_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.DEFAULT_FROM_EMAIL = "tasks@aftercommit.example"
        yield server


def mail(workspace: Workspace, url: str = "mailto:ops@example.org", **fields: Any) -> Destination:
    """Return a destination by mail."""
    return to(workspace, url, name="mail", kind="mail", **fields)


def make(workspace: Workspace, title: str = "a") -> Any:
    """Return a new task."""
    fields = {"title": title, "priority": "high", "labels": ["x", "y"]}
    return create_task(workspace_id=workspace.pk, fields=fields, cause=cause())


def last_attempt(of: Destination) -> Attempt:
    """Return the newest attempt."""
    attempt = Attempt.objects.filter(delivery__destination=of).order_by("-id").first()
    assert attempt is not None
    return attempt


def test_each_event_is_one_readable_message(workspace: Workspace, post: SmtpServer) -> None:
    there = mail(workspace, "mailto:ops@example.org,boss@example.org")
    task = make(workspace, "Ünïcode & co")
    update_task(
        workspace_id=workspace.pk, task_id=task.pk, fields={"status": "done"}, cause=cause()
    )
    delete_task(workspace_id=workspace.pk, task_id=task.pk, cause=cause())
    deliver()
    assert states(there) == ["succeeded"] * 3
    assert post.recipients == [["ops@example.org", "boss@example.org"]] * 3
    assert [message["Subject"] for message in post.messages] == [
        "Task #1 created: Ünïcode & co",
        "Task #1 changed: Ünïcode & co",
        "Task #1 deleted: Ünïcode & co",
    ]
    created, changed, _ = post.messages
    delivery = Delivery.objects.get(destination=there, sequence=1)
    assert created["Message-ID"] == f"<msg_{delivery.message_id.hex}@aftercommit.example>"
    assert created["From"] == "tasks@aftercommit.example"
    assert created["References"] == changed["References"] == f"<{task.pk}@aftercommit.example>"
    assert created["Auto-Submitted"] == "auto-generated"
    assert "Labels: x, y" in created.get_content()
    assert "Status: done (was: open)" in changed.get_content()
    assert "by alice" in changed.get_content()
    assert {"connect", "send", "headers"} <= last_attempt(there).phases.keys()


def test_a_resend_is_recognised_by_its_message_id(workspace: Workspace, post: SmtpServer) -> None:
    there = mail(workspace)
    post.says = lambda line: "taken" if line == "." else None
    make(workspace)
    deliver()
    assert states(there) == ["pending"]
    assert last_attempt(there).error == "connection_reset"
    post.says = None
    make_due()
    deliver()
    assert states(there) == ["succeeded"]
    assert len(post.messages) == 2
    assert len({message["Message-ID"] for message in post.messages}) == 1


def test_a_title_cannot_add_a_header_or_a_recipient(workspace: Workspace, post: SmtpServer) -> None:
    mail(workspace)
    make(workspace, "x\r\nBcc: evil@example.org\r\n\r\nbody \u2028\x85 y")
    deliver()
    [message] = post.messages
    assert message["Bcc"] is None
    assert message["Subject"] == "Task #1 created: x Bcc: evil@example.org body y"
    assert post.recipients == [["ops@example.org"]]


def test_a_recipient_that_is_refused_keeps_the_message_from_all(
    workspace: Workspace, post: SmtpServer
) -> None:
    """Else each retry would double it for those who got it."""
    there = mail(workspace, "mailto:ops@example.org,gone@example.org")
    post.says = lambda line: "550 no gone@example.org here" if "gone@" in line else None
    make(workspace)
    deliver()
    attempt = last_attempt(there)
    assert (attempt.error, attempt.status_code, attempt.failed_phase) == ("smtp_5xx", 550, "send")
    assert attempt.detail == "The mail server refused 1 of the recipients; nobody got it."
    assert attempt.response_excerpt == "no ••• here"
    assert post.messages == []
    assert "DATA" not in post.commands
    post.says = None
    make_due()
    deliver()
    assert len(post.messages) == 1
    assert states(there) == ["succeeded"]


@pytest.mark.parametrize(
    ("verb", "reply", "outcome"),
    [
        ("MAIL", "451 later", ("smtp_4xx", 451, "send")),
        ("MAIL", "550 not you", ("smtp_5xx", 550, "send")),
        ("RCPT", "450 greylisted", ("smtp_4xx", 450, "send")),
        ("RCPT", "421 too many", ("smtp_4xx", 421, "send")),
        ("DATA", "554 no", ("smtp_5xx", 554, "headers")),
        (".", "552 too big", ("smtp_5xx", 552, "headers")),
        ("RCPT", "drop", ("connection_reset", None, "send")),
        ("DATA", "drop", ("connection_reset", None, "headers")),
    ],
)
def test_what_the_server_refuses_is_a_failure_with_its_code_and_phase(
    workspace: Workspace, post: SmtpServer, verb: str, reply: str, outcome: Any
) -> None:
    there = mail(workspace)
    post.says = lambda line: reply if line.startswith(verb) else None
    make(workspace)
    deliver()
    attempt = last_attempt(there)
    assert (attempt.error, attempt.status_code, attempt.failed_phase) == outcome
    delivery = Delivery.objects.get(destination=there)
    assert (delivery.state, delivery.failures) == ("pending", 1)
    assert post.messages == []


@pytest.mark.parametrize(
    ("says", "drips", "error"),
    [
        (lambda line: "" if line.startswith("EHLO") else None, False, "connect_timeout"),
        (lambda line: "" if line.startswith("RCPT") else None, False, "send_timeout"),
        (lambda line: "" if line == "." else None, False, "headers_timeout"),
        (None, True, "connect_timeout"),
    ],
)
def test_a_server_that_stalls_is_left_at_the_deadline(
    workspace: Workspace, post: SmtpServer, says: Any, drips: bool, error: str
) -> None:
    """One that sends a byte now and then would keep a blocking client for ever."""
    there = mail(workspace, timeout=1)
    post.says, post.drips = says, drips
    make(workspace)
    deliver()
    assert last_attempt(there).error == error
    assert last_attempt(there).duration_ms < 5_000


def test_a_server_that_says_no_goodbye_has_the_message_all_the_same(
    workspace: Workspace, post: SmtpServer
) -> None:
    there = mail(workspace, timeout=1)
    post.says = lambda line: "" if line == "QUIT" else None
    make(workspace)
    deliver()
    assert states(there) == ["succeeded"]
    assert len(post.messages) == 1


def test_nobody_listening_is_a_failure_and_a_wrong_name_too(
    workspace: Workspace, post: SmtpServer, settings: Settings
) -> None:
    there = mail(workspace)
    settings.EMAIL_PORT = closed_port()
    make(workspace)
    deliver()
    assert (last_attempt(there).error, last_attempt(there).failed_phase) == (
        "connect_refused",
        "connect",
    )


def test_a_login_that_is_refused_is_our_fault(
    workspace: Workspace, post: SmtpServer, settings: Settings
) -> None:
    there = mail(workspace)
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "me", "s3cret-w0rd"
    post.says = _login_refused
    make(workspace)
    deliver()
    delivery = Delivery.objects.get(destination=there)
    assert (delivery.error, delivery.failures) == ("fault", 0)
    assert "s3cret" not in last_attempt(there).response_excerpt + last_attempt(there).detail


def _login_refused(line: str) -> str | None:
    if line.startswith("EHLO"):
        return "250-here\r\n250 AUTH PLAIN"
    return "535 wrong" if line.startswith("AUTH") else None


def test_a_hanging_mail_server_holds_up_no_other_destination(
    workspace: Workspace, post: SmtpServer
) -> None:
    """The mail server speaks again only once the webhook has been settled."""
    from_mail = mail(workspace, timeout=20)
    with sink() as out:
        hook = to(workspace, out.url, name="hook")

        def waits_for_the_hook(line: str) -> str | None:
            if line.startswith("RCPT"):
                until(lambda: in_thread(lambda: states(hook)).result() == ["succeeded"], "it came")
            return None

        post.says = waits_for_the_hook
        make(workspace)
        deliver()
    assert (states(hook), states(from_mail)) == (["succeeded"], ["succeeded"])


def test_a_ping_by_mail_says_that_it_is_a_test(workspace: Workspace, post: SmtpServer) -> None:
    there = mail(workspace)
    ping_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
    deliver()
    assert [message["Subject"] for message in post.messages] == ["A test from Aftercommit"]


@pytest.mark.parametrize("from_the_start", [True, False])
def test_mail_goes_by_tls_and_only_to_who_proves_its_name(
    workspace: Workspace,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    from_the_start: bool,
) -> None:
    known = trust("localhost")
    with smtp_server(tls=known.server, from_the_start=from_the_start) as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", server.port
        settings.EMAIL_USE_SSL, settings.EMAIL_USE_TLS = from_the_start, not from_the_start
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        there = mail(workspace)
        make(workspace)
        deliver()
        attempt = last_attempt(there)
        assert (attempt.error, attempt.failed_phase) == ("tls_failed", "tls")
        assert server.messages == []
        (tmp_path / "ca.pem").write_bytes(known.authority)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        make_due()
        deliver()
        assert states(there) == ["succeeded"]
        assert len(server.messages) == 1
    assert {"connect", "tls", "send", "headers"} <= last_attempt(there).phases.keys()


def test_other_backends_of_django_serve_as_well(workspace: Workspace, settings: Settings) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    there = mail(workspace)
    make(workspace)
    deliver()
    assert states(there) == ["succeeded"]


def test_letters_bear_whatever_an_event_holds() -> None:
    bare = {"type": "task_updated", "at": "now", "task": {"title": "t" * 500, "number": None}}
    assert len(subject_of(bare)) == 180
    odd = {**bare, "changes": {"metadata": [{}, {"a": None}], "labels": [[], ["x"]]}}
    assert "Labels: x (was: none)" in text_of(odd)
    assert recipients("mailto:a@example.org,b+c@sub.example.org") == [
        "a@example.org",
        "b+c@sub.example.org",
    ]


def test_a_message_that_another_may_send_by_now_does_not_leave(
    workspace: Workspace, post: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the process was stopped while the server made ready for it; it is given back."""
    there, heard = mail(workspace), iter([True, False])
    monkeypatch.setattr(Beats, "is_heard_since", lambda *_: next(heard, True))
    make(workspace)
    deliver()
    assert [one for one in post.commands if one == "DATA"] == ["DATA"] * 2
    assert (len(post.messages), states(there)) == (1, ["succeeded"])
    assert Attempt.objects.count() == 1  # what was kept back is none
