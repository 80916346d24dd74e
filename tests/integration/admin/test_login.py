"""Who guesses at a password has to wait, in every process; the owner does not."""

from typing import Any

import httpx
import pytest
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.support import factories
from tests.support.admin_pages import address
from tests.support.api_server import running_api

LIMIT = django_settings.AXES_FAILURE_LIMIT
ADMIN, BROWSABLE = "/admin/login/", "/api/auth/login/"


@pytest.fixture(autouse=True)
def unlimited(settings: Settings) -> None:
    """Leave out how often an address may try at all; it has tests of its own."""
    settings.RATE_LIMIT_ADDRESS_PER_MINUTE = 0


def over_a_socket(port: int, password: str) -> int:
    """Log in as a browser does, by the form and its token; return the answer's status."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser:
        token = browser.get(ADMIN).cookies["csrftoken"]
        sent = {"username": "olivia", "password": password, "csrfmiddlewaretoken": token}
        return browser.post(ADMIN, data=sent).status_code


def log_in(
    page: str, password: str = "wrong", *, at: str = "203.0.113.7", name: str = "olivia"
) -> Any:
    """Send the login form as the proxy passes it on."""
    sent = {"username": name, "password": password}
    return Client().post(page, sent, headers={"X-Forwarded-For": at}, REMOTE_ADDR="127.0.0.1")


@pytest.mark.django_db
@pytest.mark.parametrize("page", [ADMIN, BROWSABLE])
def test_who_fails_too_often_waits_also_with_the_right_password(operator: User, page: str) -> None:
    for _ in range(LIMIT - 1):
        assert log_in(page).status_code == 200
    assert log_in(page).status_code == 429
    answer = log_in(page, "password")
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert "It is asked" in answer.content.decode()
    other = BROWSABLE if page == ADMIN else ADMIN
    assert log_in(other, "password").status_code == 429


@pytest.mark.django_db
def test_a_stranger_does_not_lock_the_owner_out(operator: User) -> None:
    for _ in range(LIMIT + 3):
        log_in(ADMIN, at="198.51.100.1")
    assert log_in(ADMIN, "password", at="198.51.100.1").status_code == 429
    assert log_in(ADMIN, "password").status_code == 302


@pytest.mark.django_db
def test_who_claims_another_address_is_not_believed(operator: User) -> None:
    """The proxy's word is the last; what a client wrote before it counts for nothing."""
    for number in range(LIMIT):
        log_in(ADMIN, at=f"192.0.2.{number}, 198.51.100.1")
    assert log_in(ADMIN, "password", at="192.0.2.99, 198.51.100.1").status_code == 429


@pytest.mark.django_db
def test_addresses_of_one_site_count_as_one(operator: User) -> None:
    for number in range(LIMIT):
        log_in(ADMIN, at=f"2001:db8::{number + 1}")
    assert log_in(ADMIN, "password", at="2001:db8::ffff").status_code == 429
    assert log_in(ADMIN, "password", at="2001:db8:0:1::1").status_code == 302


@pytest.mark.django_db
def test_the_wait_ends_and_going_on_does_not_make_it_longer(operator: User) -> None:
    for _ in range(LIMIT):
        log_in(ADMIN)
    began = AccessAttempt.objects.get().attempt_time
    assert log_in(ADMIN).status_code == 429
    assert AccessAttempt.objects.get().attempt_time == began
    AccessAttempt.objects.update(attempt_time=timezone.now() - django_settings.AXES_COOLOFF_TIME)
    assert log_in(ADMIN, "password").status_code == 302
    assert not AccessAttempt.objects.exists()


@pytest.mark.django_db
def test_an_operator_lets_somebody_in_at_once(browser: Client, operator: User) -> None:
    factories.user("sam")
    for _ in range(LIMIT):
        log_in(BROWSABLE, name="sam")
    assert log_in(BROWSABLE, "password", name="sam").status_code == 429
    row = AccessAttempt.objects.get()
    assert "wrong" not in browser.get(address(AccessAttempt, "change", row.pk)).content.decode()
    assert (
        browser.post(address(AccessAttempt, "delete", row.pk), {"post": "yes"}).status_code == 302
    )
    assert log_in(BROWSABLE, "password", name="sam").status_code == 302


@pytest.mark.django_db
def test_no_password_that_was_tried_is_kept(operator: User) -> None:
    log_in(ADMIN, "my real passw0rd")
    row = AccessAttempt.objects.values().get()
    assert "passw0rd" not in str(row)


@pytest.mark.django_db
def test_a_login_that_is_no_text_is_no_fault(operator: User) -> None:
    for name in ("\0", "a\0b", "x" * 10_000, "'; --", "ｏｌｉｖｉａ"):
        assert log_in(ADMIN, name=name).status_code in {200, 429}


@pytest.mark.django_db
def test_a_member_who_is_no_staff_gets_no_further(operator: User) -> None:
    factories.user("mia")
    assert log_in(ADMIN, "password", name="mia").status_code == 200
    assert log_in(BROWSABLE, "password", name="mia").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_failures_count_across_processes(operator: User) -> None:
    with running_api(RATE_LIMIT_ADDRESS_PER_MINUTE="0") as other:
        tried = [log_in(ADMIN, at="127.0.0.1").status_code for _ in range(LIMIT - 2)]
        assert tried == [200] * (LIMIT - 2)
        assert [over_a_socket(other.port, "wrong") for _ in range(2)] == [200, 429]
        assert over_a_socket(other.port, "password") == 429
        assert log_in(ADMIN, "password", at="127.0.0.1").status_code == 429
