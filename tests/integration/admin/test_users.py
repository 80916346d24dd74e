"""Users: made, let in, shut out and given passwords by operators; each by the form as it is."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tasks_app.models import Role, Workspace
from tests.support import factories
from tests.support.admin_pages import address, filled, logged_in, staff
from tests.support.callers import Caller, api_key

pytestmark = pytest.mark.django_db
ADD = "/admin/auth/user/add/"
PASSWORD = {"usable_password": "true", "password1": "correct horse 1"}
BOTH = PASSWORD | {"password2": PASSWORD["password1"]}


def errors(answer: Any) -> dict[str, Any]:
    return dict(answer.context["adminform"].form.errors)


def test_a_new_user_logs_in_with_the_password_that_was_set(browser: Client) -> None:
    sent = filled(browser, ADD, username="nora", email="nora@example.org", **BOTH)
    assert browser.post(ADD, sent).status_code == 302
    nora = User.objects.get(username="nora")
    assert nora.check_password(PASSWORD["password1"])
    assert (nora.is_staff, nora.is_superuser) == (False, False)


def test_names_and_addresses_are_one_user_s_whatever_their_case(browser: Client) -> None:
    factories.user("olga")
    max_ = factories.user("max")
    change = address(User, "change", max_.pk)
    for url, more in ((ADD, BOTH), (change, {})):
        for typed, field in (
            ({"username": "Olga", "email": "new@example.org"}, "username"),
            ({"username": "new", "email": "OLGA@example.org"}, "email"),
        ):
            answer = browser.post(url, filled(browser, url, **typed, **more))
            assert answer.status_code == 200
            assert set(errors(answer)) == {field}, (url, typed)
    assert sorted(User.objects.values_list("username", flat=True)) == ["max", "olga", "olivia"]


def test_who_is_disabled_is_out_at_once_with_their_keys(
    browser: Client, workspace: Workspace
) -> None:
    member = factories.member(workspace)
    program = Caller({"Authorization": f"Bearer {api_key(member)[0]}"})
    person = Caller(client=logged_in(member.user))
    url = address(User, "change", member.user.pk)
    assert [program.get("tasks/").status, person.get("tasks/").status] == [200, 200]
    sent = filled(browser, url)
    del sent["is_active"]  # a box that is not ticked is not sent
    assert browser.post(url, sent).status_code == 302
    assert [program.get("tasks/").status, person.get("tasks/").status] == [401, 401]


def test_a_new_password_ends_the_user_s_sessions_and_leaves_what_else_was_changed(
    browser: Client, workspace: Workspace
) -> None:
    mia = factories.member(workspace).user
    person = Caller(client=logged_in(mia))
    url = f"/admin/auth/user/{mia.pk}/password/"
    assert browser.post(url, filled(browser, url, **BOTH)).status_code == 302
    assert person.get("tasks/").status == 401
    mia.refresh_from_db()
    assert mia.check_password(PASSWORD["password1"])
    none = filled(browser, url, usable_password="false", **{"unset-password": "1"})
    assert browser.post(url, none).status_code == 302
    mia.refresh_from_db()
    assert not mia.has_usable_password()


@pytest.mark.parametrize("role", Role.values)
def test_staff_who_operate_nothing_reach_no_user(workspace: Workspace, role: str) -> None:
    """Neither by a page nor by a form that they have from elsewhere."""
    theirs, sam = staff(workspace, role), factories.user("sam")
    before = User.objects.filter(pk=sam.pk).values().get()
    pages = [address(User, page, sam.pk) for page in ("change", "delete", "history")]
    sent = {"username": "nora", "email": "", "is_superuser": "on", "is_staff": "on", **BOTH}
    for url in (ADD, address(User, "changelist"), *pages, f"/admin/auth/user/{sam.pk}/password/"):
        assert theirs.get(url).status_code in {302, 403}, url
        assert theirs.post(url, sent).status_code in {302, 403}, url
    assert User.objects.filter(pk=sam.pk).values().get() == before
    assert not User.objects.filter(username="nora").exists()
    assert not User.objects.filter(is_superuser=True).exists()
