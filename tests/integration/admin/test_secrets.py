"""No page of the admin shows a secret, sealed or plain, nor anything it could be guessed from."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models import BinaryField
from django.test import Client
from django.utils import timezone

from tasks_app.actions.destination import create_destination, rotate_secret
from tasks_app.actions.invitation import invite
from tasks_app.actions.task import create_task
from tasks_app.admin import site
from tasks_app.models import ApiKey, Destination, IdempotencyKey, Role, StreamTicket, Workspace
from tests.support import factories
from tests.support.admin_pages import address, do, filled, staff
from tests.support.callers import caller

pytestmark = pytest.mark.django_db

SECRET = re.compile(r"sealed|secret|digest|password|token|session_key|session_data|^body$|hash")
NO_SECRET = {"old_secret_expires_at", "phases"}
PLAIN = ("planted-token", "planted-header", "planted-in-the-url", "planted-in-the-answer")
OTHERS = ("planted-key-of-a-caller", "planted-address")


@pytest.fixture
def planted(workspace: Workspace) -> list[str]:
    """Put a secret wherever there is a place for one; return them all, as they are kept too."""
    fields = {
        "name": "CRM",
        "url": "http://127.0.0.1:9/planted-in-the-url",
        "auth": {"type": "bearer", "token": PLAIN[0]},
        "headers": {"X-Token": PLAIN[1]},
        "signature": "both",
    }
    made, secret = create_destination(
        workspace_id=workspace.pk, fields=fields, cause=factories.cause()
    )
    at = {"workspace_id": workspace.pk, "destination_id": made.pk}
    _, other = rotate_secret(**at, cause=factories.cause())
    api = caller(workspace)
    key = api.headers["Authorization"].split()[1]
    ticket = api.post("stream/ticket/").body["ticket"]
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=factories.cause())
    IdempotencyKey.objects.create(
        workspace_id=workspace.pk,
        owner="o",
        key=OTHERS[0],
        fingerprint=b"f",
        status=201,
        body=PLAIN[3].encode(),
        expires_at=timezone.now(),
    )
    email, cause = f"{OTHERS[1]}@example.org", factories.cause()
    invite(workspace_id=workspace.pk, email=email, role="member", cause=cause)
    return [*PLAIN[:2], PLAIN[3], *OTHERS, secret, other, key, ticket, *kept()]


def kept() -> Iterator[str]:
    """Yield what columns hold whose names say that it is secret."""
    for model in [*apps.get_models()]:
        columns = [
            field.attname
            for field in model._meta.fields
            if SECRET.search(field.name) and field.name not in NO_SECRET
        ]
        for row in model._default_manager.values_list(*columns) if columns else ():
            for value in row:
                text = bytes(value).decode("latin-1") if isinstance(value, memoryview) else value
                if isinstance(text, str) and len(text) > 7:
                    yield text


def pages(browser: Client, *, of: Any) -> Iterator[tuple[str, str]]:
    """Yield every page of a model: its list, also searched, and those of its rows."""
    urls = [address(of, "changelist"), address(of, "changelist") + "?q=a", address(of, "add")]
    for number, row in enumerate(of._default_manager.all()):
        shown = ("change",) if number else ("change", "delete", "history")
        urls += [address(of, page, row.pk) for page in shown]
        if of is User:
            urls.append(f"/admin/auth/user/{row.pk}/password/")
    for url in urls:
        answer = browser.get(url)
        assert answer.status_code in {200, 302, 403, 404}, url
        yield url, answer.content.decode().replace(url, "")  # who asks knows it


def test_no_page_shows_any_of_them(
    browser: Client, operator: User, workspace: Workspace, planted: list[str]
) -> None:
    columns = [
        "sealed_secret",
        "sealed_headers",
        "sealed_auth",
        "sealed_signing_key",
        "sealed_old_secret",
    ]
    row = Destination.objects.values(*columns).get()
    assert set(row.values()) <= set(planted)  # the search has found what it looks for
    assert {ApiKey.objects.get().digest, StreamTicket.objects.get().digest} <= set(planted)
    assert {operator.password, Session.objects.latest("expire_date").pk} <= {*planted, *keys()}
    owner, viewer = staff(workspace, Role.OWNER), staff(workspace, Role.VIEWER)
    for model in site._registry:
        for looks in (browser, owner, viewer):
            hidden = [*planted, PLAIN[2]] if looks is viewer else planted
            for url, page in pages(looks, of=model):
                assert [secret for secret in hidden if secret in page] == [], url


def keys() -> set[str]:
    """Return the keys of sessions, which are as good as passwords."""
    return set(Session.objects.values_list("pk", flat=True))


def test_who_may_not_manage_a_destination_sees_no_address_of_it(
    workspace: Workspace, planted: list[str]
) -> None:
    row = Destination.objects.get()
    for role in (Role.VIEWER, Role.MEMBER):
        looks = staff(workspace, role)
        for url in (address(Destination, "changelist"), address(Destination, "change", row.pk)):
            page = looks.get(url).content.decode()
            assert "CRM" in page
            assert PLAIN[2] not in page
    theirs = staff(workspace, Role.ADMIN).get(address(Destination, "change", row.pk))
    assert PLAIN[2] in theirs.content.decode()


def test_what_is_sealed_cannot_be_asked_for_bit_by_bit(browser: Client, planted: list[str]) -> None:
    for model, lookup in (
        *((ApiKey, "digest__startswith"), (User, "password__startswith")),
        *((Destination, "sealed_secret__startswith"), (StreamTicket, "digest__gt")),
        *((Destination, "workspace__memberships__api_keys__digest__startswith"),),
    ):
        answer = browser.get(address(model, "changelist"), {lookup: "a"})
        assert answer.status_code == 400, lookup


def test_a_new_secret_is_shown_once_and_kept_nowhere_on_the_way(
    browser: Client, workspace: Workspace
) -> None:
    url = address(Destination, "add")
    typed = {"workspace": workspace.pk, "kind": "webhook", "name": "CRM", "events": ["*"]}
    sent = filled(browser, url, **typed, url="http://127.0.0.1:9/")
    answer = browser.post(url, sent)
    made = secret_in(answer)
    assert "no-store" in answer["Cache-Control"]
    row = Destination.objects.get()
    rotated = secret_in(do(browser, Destination, "rotate", row))
    assert rotated != made
    cookies = browser.cookies.output()
    sessions = " ".join(str(one.get_decoded()) for one in Session.objects.all())
    after = browser.get(address(Destination, "change", row.pk)).content.decode()
    for secret in (made, rotated):
        assert secret not in cookies + sessions + after


def secret_in(answer: Any) -> str:
    """Return the secret that a page shows."""
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", answer.content.decode())
    assert found, answer.context["adminform"].form.errors
    return found[0]


def test_columns_of_bytes_are_on_no_page() -> None:
    """Answers and files that are kept for a while are nobody's to read here."""
    for model, page in site._registry.items():
        shown = {str(name) for name in [*(page.fields or ()), *page.list_display]}
        held = {field.name for field in model._meta.fields if isinstance(field, BinaryField)}
        assert not shown & held, model
