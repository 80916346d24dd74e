"""Browsers without a screen: an operator's, and those of staff who are no more than members."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks_app.models import Role, Workspace
from tests.support import factories


@pytest.fixture
def operator(db: None) -> User:
    """Return who operates the installation."""
    return User.objects.create_superuser("olivia", "olivia@example.org", "password")


@pytest.fixture
def browser(operator: User) -> Client:
    """Return the operator's browser."""
    return logged_in(operator)


def logged_in(user: User) -> Client:
    """Return a browser in which a user has logged in; an exception of a view is a test's too."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def staff(of: Workspace, role: str = Role.MEMBER) -> Client:
    """Return the browser of a member of the staff who is a member of one workspace."""
    user = factories.member(of, role=role).user
    user.is_staff = True
    user.save()
    return logged_in(user)
