"""Owners are mailed what happens to their destinations: through real SMTP, whatever dies."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import F
from pytest_django.fixtures import Settings

from config.settings.mail import email_settings
from tasks_app.actions.destination import resume_destination
from tasks_app.delivery import post
from tasks_app.delivery.letter import owners
from tasks_app.delivery.post import send_notices, wait_for_post
from tasks_app.delivery.sweep import sweep
from tasks_app.models import Circuit, Destination, Notice, NoticeKind, Role, Workspace
from tests.support import factories
from tests.support.backlog import backlog
from tests.support.clock import let_pass
from tests.support.engine import deliver, to
from tests.support.factories import cause
from tests.support.mail_server import Letter, MailServer, mail_server
from tests.support.sink import ok, sink, status
from tests.support.threads import until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def smtp(settings: Settings) -> Iterator[MailServer]:
    """Return a mail server that EMAIL_URL names."""
    with mail_server() as server:
        for name, value in email_settings(server.url).items():
            setattr(settings, name, value)
        settings.EMAIL_TIMEOUT = 10
        yield server
        server.hangs = False
        assert wait_for_post(20)


def posted() -> None:
    """Send what waits, and wait until it has gone."""
    send_notices()
    assert wait_for_post(20)


def leave(workspace: Workspace, kind: str = NoticeKind.AUTO_PAUSED, **fields: str) -> Notice:
    there = factories.destination(workspace, **fields)
    return Notice.objects.create(
        workspace_id=workspace.pk, destination_id=there.pk, kind=kind, detail="Why."
    )


def subjects(letters: list[Letter]) -> list[str]:
    return [str(one.message["Subject"]) for one in letters]


def test_owners_hear_of_an_outage_and_of_its_end(workspace: Workspace, smtp: MailServer) -> None:
    factories.member(workspace, role=Role.OWNER, name="olga")
    factories.member(workspace, role=Role.ADMIN, name="adam")
    with sink(status(500)) as out:
        there = to(workspace, out.url, name="CRM", max_concurrency=1)
        backlog(there, 20)
        deliver()
        posted()
        out.answer = ok
        let_pass(there, 31)
        deliver()
        let_pass(there, 20)
        sweep()
        assert wait_for_post(20)
    assert subjects(smtp.letters) == [
        f"[{workspace.slug}] not reachable: CRM",
        f"[{workspace.slug}] reachable again: CRM",
    ]
    first = smtp.letters[0]
    assert first.to == ("alice@example.org", "olga@example.org")
    assert "http_5xx" in first.message.get_content()
    assert out.url not in first.message.get_content()
    assert not Notice.objects.filter(ended_at=None).exists()


def test_one_that_comes_and_goes_is_mailed_about_once_an_hour(
    workspace: Workspace, smtp: MailServer
) -> None:
    with sink() as out:
        there = to(workspace, out.url, name="CRM", max_concurrency=1)
        for minutes in (1, 1, 1, 61):
            backlog(there, 20)  # a slow machine has sent all of the last in its ramp
            out.answer = status(500)
            deliver()
            assert Circuit.objects.get(pk=there.pk).state == "open"
            out.answer = ok
            resume_destination(workspace_id=workspace.pk, destination_id=there.pk, cause=cause())
            deliver()
            let_pass(there, 20)
            sweep()
            let_pass(there, minutes * 60)
        backlog(there, 20)
        out.answer = status(500)
        deliver()
    kinds = list(Notice.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["circuit_opened", "recovered", "circuit_opened"]
    log = [event.type for event in factories.log(workspace)]
    assert log.count("destination_circuit_opened") == 5
    assert log.count("destination_recovered") == 4


@pytest.mark.parametrize("days", [0, 5])
def test_both_ways_of_being_paused_are_mailed(
    workspace: Workspace, smtp: MailServer, days: int
) -> None:
    with sink(status(500 if days else 410)) as out:
        there = to(workspace, out.url, name="CRM", max_concurrency=1)
        backlog(there, 20)
        deliver()
        if days:
            let_pass(there, days * 86_400)
            deliver()
    posted()
    body = smtp.letters[-1].message.get_content()
    assert subjects(smtp.letters)[-1] == f"[{workspace.slug}] paused: CRM"
    assert ("5 days" if days else "410") in body
    assert f"/api/v1/destinations/{there.pk}/resume/" in body


def test_what_rolls_back_is_not_mailed(workspace: Workspace, smtp: MailServer) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        leave(workspace)
        raise RuntimeError
    posted()
    assert smtp.letters == []


def test_a_mail_that_fails_is_tried_again(workspace: Workspace, smtp: MailServer) -> None:
    leave(workspace)
    smtp.refuses = "451 try later"
    posted()
    row = Notice.objects.get()
    assert (row.tries, row.ended_at, row.error) == (1, None, "SMTPDataError")
    posted()
    assert Notice.objects.get().tries == 1  # not before its time
    smtp.refuses = ""
    Notice.objects.update(next_try_at=F("next_try_at") - timedelta(hours=1))
    posted()
    row = Notice.objects.get()
    assert row.ended_at is not None
    assert row.tries == 2
    assert len(smtp.letters) == 1


def test_a_mail_whose_sending_was_cut_off_goes_again_under_the_same_id(
    workspace: Workspace, smtp: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died after the server took the mail and before that was written down."""
    leave(workspace)

    class Killed(BaseException):
        pass

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(post, "_ended", dies)
        patched.setattr(threading, "excepthook", lambda _: None)
        posted()
    assert Notice.objects.get().ended_at is None
    posted()
    assert len(smtp.letters) == 1  # its claim keeps others away for a while
    Notice.objects.update(next_try_at=F("next_try_at") - timedelta(hours=1))
    posted()
    assert len({str(one.message["Message-ID"]) for one in smtp.letters}) == 1
    assert len(smtp.letters) == 2
    assert Notice.objects.get().ended_at is not None


def test_a_mail_server_that_hangs_keeps_neither_deliveries_nor_the_sweep(
    workspace: Workspace, smtp: MailServer
) -> None:
    leave(workspace)
    smtp.hangs = True
    with sink() as out:
        there = to(workspace, out.url, name="healthy")
        sweep()
        assert smtp.accepted.wait(20)
        assert not wait_for_post(0)  # it is still at it …
        backlog(there, 5)
        sweep()
        deliver()
        assert len(out.came) == 5  # … and nobody waits for it
        assert not wait_for_post(0)
        assert _in_transaction() == 0
    smtp.hangs = False
    assert wait_for_post(20)
    assert len(smtp.letters) == 1
    assert smtp.connections == 1


def _in_transaction() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%%'"
        )
        return int(cursor.fetchone()[0])


def test_one_notice_that_cannot_be_sent_keeps_no_other(
    workspace: Workspace, smtp: MailServer
) -> None:
    gone, silent = leave(workspace), factories.workspace()
    Destination.objects.filter(pk__in=[gone.destination_id]).delete()
    leave(silent)
    User.objects.create_user("nobody", "", "password")
    silent.memberships.update(user=User.objects.get(username="nobody"))
    leave(workspace, name="mine")
    posted()
    errors = Notice.objects.order_by("pk").values_list("error", flat=True)
    assert list(errors) == ["gone", "no_owner_has_an_address", ""]
    assert len(smtp.letters) == 1


def test_who_owns_the_workspace_is_asked_when_the_mail_goes(
    workspace: Workspace, smtp: MailServer
) -> None:
    leave(workspace)
    factories.member(workspace, role=Role.OWNER, name="olga")
    User.objects.filter(username="alice").update(is_active=False)
    assert owners(workspace.pk) == ["olga@example.org"]
    posted()
    assert [one.to for one in smtp.letters] == [("olga@example.org",)]


def test_a_name_of_several_lines_cannot_add_a_header(
    workspace: Workspace, smtp: MailServer
) -> None:
    leave(workspace, name="CRM\r\nBcc: eve@example.org")
    posted()
    (mail,) = smtp.letters
    assert mail.to == ("alice@example.org",)
    assert mail.message["Bcc"] is None


def test_two_workers_send_a_notice_once(workspace: Workspace, smtp: MailServer) -> None:
    for number in range(6):
        leave(workspace, name=str(number))
    threads = [threading.Thread(target=post._run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    until(lambda: len(smtp.letters) >= 6, "all are sent")
    assert len({str(one.message["Message-ID"]) for one in smtp.letters}) == 6 == len(smtp.letters)
