"""Every model has its pages, and every page opens."""

import pytest
from django.apps import apps
from django.test import Client

from tasks_app.actions.task import create_task
from tasks_app.admin import site
from tasks_app.models import (
    Attempt,
    Delivery,
    Destination,
    Event,
    StreamTicket,
    Task,
    Workspace,
)
from tests.support import factories
from tests.support.admin_pages import address

pytestmark = pytest.mark.django_db


def test_every_model_of_ours_is_in_the_admin() -> None:
    ours = apps.get_app_config("tasks_app").get_models()
    assert [model for model in ours if not site.is_registered(model)] == []


def test_every_list_opens_and_can_be_searched(browser: Client) -> None:
    for model in site._registry:
        assert browser.get(address(model, "changelist")).status_code == 200, model
        found = browser.get(address(model, "changelist"), {"q": "something"})
        assert found.status_code == 200, model


def test_the_page_of_every_row_opens(browser: Client, workspace: Workspace) -> None:
    factories.destination(workspace)
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=factories.cause())
    opened = 0
    for model in site._registry:
        for row in model._default_manager.all():
            page = browser.get(address(model, "change", row.pk))
            listed = site._registry[model].list_display_links is not None
            assert page.status_code == (200 if listed else 403), model
            opened += 1
    assert opened > 10


@pytest.mark.parametrize("model", [Event, Delivery, Attempt])
def test_log_deliveries_and_attempts_are_read_only(
    browser: Client, workspace: Workspace, model: type
) -> None:
    factories.destination(workspace)
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=factories.cause())
    delivery = Delivery.objects.get()
    moment = delivery.created_at
    Attempt.objects.create(delivery=delivery, number=1, started_at=moment, duration_ms=1)
    row = model.objects.get()  # type: ignore[attr-defined]
    before = model.objects.values().get()  # type: ignore[attr-defined]
    for page in ("change", "delete"):
        answer = browser.post(address(model, page, row.pk), {"post": "yes", "number": 7})
        assert answer.status_code == 403, page
    assert browser.post(address(model, "add"), {}).status_code == 403
    ticked = {"_selected_action": row.pk, "action": "delete_selected", "index": 0, "post": "yes"}
    browser.post(address(model, "changelist"), ticked)
    assert model.objects.values().get() == before  # type: ignore[attr-defined]


def test_what_postgresql_cannot_keep_is_refused_with_a_page(browser: Client) -> None:
    pages = [address(Delivery, "changelist") + f"?{name}=%00" for name in ("workspace", "q", "e")]
    for url in (*pages, address(StreamTicket, "changelist") + "%00/change/"):
        answer = browser.get(url)
        assert answer.status_code == 400, url
        assert "NUL" in answer.content.decode()


def test_a_row_that_is_nowhere_leads_back_with_a_word(browser: Client) -> None:
    for key in ("0190a5f0-0000-7000-8000-000000000000", "what", "%27"):
        answer = browser.get(address(Delivery, "change", key), follow=True)
        assert answer.redirect_chain
        assert "doesn’t exist" in answer.content.decode()


def test_pages_say_what_a_browser_may_do_on_them(browser: Client) -> None:
    for url in (address(Event, "changelist"), "/admin/", "/admin/login/"):
        answer = browser.get(url)
        assert "script-src 'self'" in answer["Content-Security-Policy"]
        assert "unsafe" not in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "no-store" in answer["Cache-Control"]


def test_lists_are_filtered_by_workspace(browser: Client) -> None:
    for slug in ("one", "two"):
        workspace = factories.workspace(slug)
        factories.destination(workspace, name=f"of {slug}")
        fields = {"title": f"of {slug}"}
        create_task(workspace_id=workspace.pk, fields=fields, cause=factories.cause(slug))
    for model in (Task, Destination, Delivery, Event):
        page = browser.get(address(model, "changelist"), {"workspace": "one"})
        rows = page.context["cl"].result_list
        assert [row.workspace_slug for row in rows] == ["one"], model
        assert (
            not browser.get(address(model, "changelist"), {"workspace": "three"})
            .context["cl"]
            .result_list
        )
