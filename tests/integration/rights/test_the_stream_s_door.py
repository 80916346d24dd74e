"""Everybody at the stream's door: the same credentials, the same answer as at the API's."""

import pytest

from realtime.auth import Credentials, Refused, authenticate
from realtime.close_codes import BAD_CREDENTIALS, NO_WORKSPACE
from tests.integration.rights import world
from tests.support import factories
from tests.support.callers import Caller

pytestmark = pytest.mark.django_db


def shown(who: Caller) -> Credentials:
    """Return what a caller's handshake would show."""
    cookie = who.client.cookies.get("sessionid")
    return Credentials(
        authorization=who.headers.get("Authorization"),
        session_key=cookie.value if cookie else None,
        workspace=who.headers.get("X-Workspace", ""),
    )


def test_every_member_follows_their_own_workspace() -> None:
    of = factories.workspace()
    for who in world.members(of):
        assert authenticate(shown(who.caller)).workspace_id == of.pk, who.name


def test_nobody_follows_another_s() -> None:
    of = factories.workspace()
    for name, who in world.strangers(of).items():
        if name.startswith("key"):  # a key decides the workspace, whatever is named beside it
            assert authenticate(shown(who)).workspace_id != of.pk
        else:
            with pytest.raises(Refused) as refused:
                authenticate(shown(who))
            assert refused.value.close == NO_WORKSPACE


def test_credentials_that_have_ended_open_nothing() -> None:
    for who in world.nobodies(factories.workspace()).values():
        with pytest.raises(Refused) as refused:
            authenticate(shown(who))
        assert refused.value.close == BAD_CREDENTIALS
