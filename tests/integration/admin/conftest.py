"""An operator, who sees every workspace."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support.admin_pages import logged_in


@pytest.fixture
def operator(db: None) -> User:
    """Return who operates the installation."""
    return User.objects.create_superuser("olivia", "olivia@example.org", "password")


@pytest.fixture
def browser(operator: User) -> Client:
    """Return the operator's browser."""
    return logged_in(operator)
