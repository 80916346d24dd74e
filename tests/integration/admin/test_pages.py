"""Every model has its pages, and every page opens."""

from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.urls import reverse

from tasks_app.actions.task import create_task
from tasks_app.admin import site
from tasks_app.models import Workspace
from tests.support import factories

pytestmark = pytest.mark.django_db


def address(model: Any, page: str, *args: Any) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def test_every_model_of_ours_is_in_the_admin() -> None:
    assert [
        m for m in apps.get_app_config("tasks_app").get_models() if not site.is_registered(m)
    ] == []


def test_every_list_opens(browser: Client) -> None:
    for model in site._registry:
        assert browser.get(address(model, "changelist")).status_code == 200, model
        found = browser.get(address(model, "changelist"), {"q": "something"})
        assert found.status_code in {200, 302}, model


def test_the_page_of_every_row_opens(browser: Client, workspace: Workspace) -> None:
    factories.destination(workspace)
    create_task(workspace_id=workspace.pk, fields={"title": "t"}, cause=factories.cause())
    opened = 0
    for model in site._registry:
        for row in model._default_manager.all():
            assert browser.get(address(model, "change", row.pk)).status_code == 200, model
            opened += 1
    assert opened > 10
