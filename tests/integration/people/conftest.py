"""A workspace with one of each role, and a mail server that EMAIL_URL names."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from config.settings.mail import email_settings
from tasks_app.delivery.post import wait_for_post
from tasks_app.models import Workspace
from tests.support.callers import Caller, caller
from tests.support.mail_server import MailServer, mail_server


@pytest.fixture(autouse=True)
def _unhurried(settings: Settings) -> None:
    """Let one address ask as often as the tests do."""
    settings.RATE_LIMIT_ADDRESS_PER_MINUTE = 0


@pytest.fixture
def owner(workspace: Workspace) -> Caller:
    """Return an owner with a key, beside Alice."""
    return caller(workspace)


@pytest.fixture
def smtp(settings: Settings) -> Iterator[MailServer]:
    """Return a mail server."""
    with mail_server() as server:
        for name, value in email_settings(server.url).items():
            setattr(settings, name, value)
        yield server
        server.hangs = False
        assert wait_for_post(20)


def logged_in(user: User, *, csrf: bool = False) -> Client:
    """Return a browser in which the user has logged in."""
    client = Client(enforce_csrf_checks=csrf, raise_request_exception=False)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client
