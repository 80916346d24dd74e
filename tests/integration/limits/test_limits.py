"""How often one may ask: counted for each key and user, told in every answer, refused with 429."""

import io
from collections.abc import Iterator

import pytest
import redis
from django.core.management import call_command
from django.test import Client
from pytest_django.fixtures import Settings

from tasks_app.events.valkey import bell_client, breaker
from tasks_app.models import ApiKey, Membership, Role, Scope, Workspace
from tests.support import factories
from tests.support.callers import Answer, Caller, api_key, caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(settings: Settings) -> Iterator[None]:
    """Allow three at once and one a minute, and start with a breaker that is closed."""
    settings.RATE_LIMIT_PER_MINUTE, settings.RATE_LIMIT_BURST = 1, 3
    settings.RATE_LIMIT_ADDRESS_PER_MINUTE = 3
    breaker.cache_clear()
    bell_client.cache_clear()
    client = redis.Redis.from_url(settings.REDIS_URL)
    for name in client.scan_iter("aftercommit:limit:*"):
        client.delete(name)
    client.close()
    yield
    breaker.cache_clear()
    bell_client.cache_clear()


def of(key: str) -> Caller:
    return Caller({"Authorization": f"Bearer {key}"})


def remaining(answer: Answer) -> int:
    field = answer.headers["RateLimit"]
    return int(field.partition(";r=")[2].partition(";")[0])


def test_each_answer_tells_what_remains_and_one_too_many_is_429(workspace: Workspace) -> None:
    api = caller(workspace)
    told = [api.get("tasks/") for _ in range(3)]
    assert [remaining(answer) for answer in told] == [2, 1, 0]
    assert {answer.headers["RateLimit-Policy"] for answer in told} == {'"key";q=3;w=180'}
    refused = api.post("tasks/", {"title": "one too many"})
    assert (refused.status, refused.body["type"]) == (429, "/problems/rate_limited")
    assert refused.body["violated-policies"] == ["key"]
    wait = int(refused.headers["Retry-After"])
    assert 55 <= wait <= 60
    assert refused.headers["RateLimit"] == f'"key";r=0;t={wait}'
    assert not workspace.tasks.exists()


def test_refusals_count_as_well_and_tell_what_remains(workspace: Workspace) -> None:
    """Or whoever may not do something could ask for it without end."""
    viewer = caller(workspace, role=Role.VIEWER)
    answers = [
        viewer.post("tasks/", {"title": "x"}),
        viewer.get("tasks/?limit=0"),
        viewer.get("tasks/01a1fc7d-6a30-7981-8d04-ef5899ce3665/"),
    ]
    assert [answer.status for answer in answers] == [403, 400, 404]
    assert [remaining(answer) for answer in answers] == [2, 1, 0]
    assert viewer.post("tasks/", {"title": "x"}).status == 429


def test_one_key_s_requests_are_not_another_s(workspace: Workspace) -> None:
    """Nor those of the same member's other key."""
    member = factories.member(workspace)
    first, second = of(api_key(member)[0]), of(api_key(member)[0])
    assert [first.get("tasks/").status for _ in range(4)] == [200, 200, 200, 429]
    assert second.get("tasks/").status == 200


def test_a_user_s_sessions_share_one_limit(workspace: Workspace) -> None:
    clients = [Client(raise_request_exception=False) for _ in range(2)]
    for client in clients:
        client.force_login(factories.user("alice"))
    statuses = [Caller({}, clients[i % 2]).get("tasks/") for i in range(4)]
    assert [answer.status for answer in statuses] == [200, 200, 200, 429]
    assert statuses[0].headers["RateLimit-Policy"] == '"user";q=3;w=180'


def test_a_key_may_have_a_limit_of_its_own_or_none(workspace: Workspace) -> None:
    member = Membership.objects.get(workspace=workspace)
    plain, key = api_key(member, requests_per_minute=0)
    answers = [of(plain).get("tasks/") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert "RateLimit" not in answers[0].headers
    ApiKey.objects.filter(pk=key.pk).update(requests_per_minute=2)
    assert of(plain).get("tasks/").headers["RateLimit-Policy"] == '"key";q=6;w=180'


def test_no_limit_at_all_is_a_setting(workspace: Workspace, settings: Settings) -> None:
    settings.RATE_LIMIT_PER_MINUTE = 0
    api = caller(workspace)
    answers = [api.get("tasks/") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}
    assert "RateLimit-Policy" not in answers[0].headers


def test_who_is_nobody_is_not_counted(workspace: Workspace) -> None:
    answers = [of("nonsense").get("tasks/") for _ in range(5)]
    assert {answer.status for answer in answers} == {401}
    assert "RateLimit" not in answers[0].headers


def test_what_was_used_comes_back_with_time(workspace: Workspace, settings: Settings) -> None:
    """The moment is moved into the past, as waiting would."""
    plain, key = api_key(factories.member(workspace))
    assert [of(plain).get("tasks/").status for _ in range(4)][-1] == 429
    client = redis.Redis.from_url(settings.REDIS_URL)
    name = f"aftercommit:limit:key:{key.pk}"
    full = int(client.get(name) or 0)
    assert 170_000 < int(client.pttl(name)) <= 180_000  # it forgets by itself
    client.set(name, full - 2 * 60_000_000)
    assert [of(plain).get("tasks/").status for _ in range(3)] == [200, 200, 429]


def test_a_clock_that_was_put_back_locks_out_for_no_longer_than_a_burst(
    workspace: Workspace, settings: Settings
) -> None:
    plain, key = api_key(factories.member(workspace))
    of(plain).get("tasks/")
    client = redis.Redis.from_url(settings.REDIS_URL)
    name = f"aftercommit:limit:key:{key.pk}"
    client.set(name, int(client.get(name) or 0) + 10**6 * 86_400)
    refused = of(plain).get("tasks/")
    assert (refused.status, refused.headers["Retry-After"]) == (429, "60")


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("/account/invitation/?token=x", 410),
        ("/account/password/new/?uid=x&token=y", 410),
        ("/account/password/forgotten/", 200),
        ("/account/password/", 302),
        ("/api/auth/login/", 200),
    ],
)
def test_an_address_tries_no_link_and_no_password_without_end(
    db: None, page: str, status: int
) -> None:
    """The fourth is refused, whoever asks; another address is not, nor is who only looks."""
    there, elsewhere = (Client(REMOTE_ADDR=f"203.0.113.{n}") for n in (7, 8))
    assert [there.post(page).status_code for _ in range(4)] == [*[status] * 3, 429]
    assert elsewhere.post(page).status_code == status
    assert there.get(page).status_code in {200, 302, 410}


def test_the_demo_s_key_is_without_limit(settings: Settings) -> None:
    call_command("load_demo", stdout=io.StringIO())
    answers = [of(settings.DEMO_API_KEY).get("tasks/") for _ in range(5)]
    assert {answer.status for answer in answers} == {200}


def test_logins_are_limited_by_address(db: None) -> None:
    factories.user("alice")
    client = Client(raise_request_exception=False)
    form = {"username": "alice", "password": "wrong"}

    def knock(address: str) -> int:
        answer = client.post("/api/auth/login/", form, headers={"X-Forwarded-For": address})
        return int(answer.status_code)

    assert [knock("203.0.113.9") for _ in range(4)][-1] == 429
    assert knock("203.0.113.8") == 200
    again = client.post("/api/auth/login/", form, headers={"X-Forwarded-For": "203.0.113.9"})
    assert again.headers["Content-Type"] == "application/problem+json"
    assert again.json()["violated-policies"] == ["login"]
    assert int(again.headers["Retry-After"]) >= 1
    page = client.get("/api/auth/login/", headers={"X-Forwarded-For": "203.0.113.9"})
    assert page.status_code == 200  # looking at the form is not trying


def test_scopes_do_not_matter_to_what_is_counted(workspace: Workspace) -> None:
    reader = caller(workspace, scope=Scope.READ)
    assert [reader.get("tasks/").status for _ in range(4)] == [200, 200, 200, 429]
