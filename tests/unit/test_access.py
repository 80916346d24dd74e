"""One table says who may do what; what it does not say is forbidden."""

import itertools

import pytest

from tasks_app.access import OF_ROLE, Capability, capabilities
from tasks_app.models import Role, Scope, scopes_of_role

LADDER = [Role.VIEWER, Role.MEMBER, Role.ADMIN, Role.OWNER]


def test_every_role_and_scope_is_in_the_table() -> None:
    assert set(OF_ROLE) == set(Role.values)
    assert all(capabilities(Role.OWNER, scope) for scope in Scope.values)


@pytest.mark.parametrize(("lower", "higher"), list(itertools.pairwise(LADDER)))
def test_each_role_may_do_what_those_before_it_may(lower: str, higher: str) -> None:
    assert capabilities(lower) < capabilities(higher)


@pytest.mark.parametrize("role", LADDER)
@pytest.mark.parametrize("scope", Scope.values)
def test_a_key_never_exceeds_its_members_role(role: str, scope: str) -> None:
    assert capabilities(role, scope) <= capabilities(role)


def test_a_read_key_of_an_owner_only_reads() -> None:
    assert capabilities(Role.OWNER, Scope.READ) == {Capability.READ, Capability.EXPORT}


def test_only_an_admin_key_makes_keys() -> None:
    for scope in (Scope.READ, Scope.WRITE):
        assert Capability.MANAGE_OWN not in capabilities(Role.OWNER, scope)
    assert all(Capability.MANAGE_OWN in capabilities(role) for role in LADDER)


@pytest.mark.parametrize(("role", "scope"), [("", None), ("root", None), (Role.OWNER, "all")])
def test_what_is_unknown_may_do_nothing(role: str, scope: str | None) -> None:
    assert capabilities(role, scope) == frozenset()


@pytest.mark.parametrize("role", LADDER)
def test_the_highest_scope_of_a_role_says_all_that_it_may(role: str) -> None:
    """But for making keys, which only a scope that reaches everything lets."""
    highest = scopes_of_role(role)[-1]
    assert capabilities(role) - {Capability.MANAGE_OWN} <= capabilities(role, highest)
