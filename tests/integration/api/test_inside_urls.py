"""What leads inside is refused when it is saved, with the code of why, and tried by no button."""

import pytest
from django.conf import LazySettings

from tasks_app.models import Attempt, Destination, Workspace
from tests.support import factories
from tests.support.callers import Caller
from tests.support.engine import deliver, to
from tests.support.inside_urls import HOSTILE
from tests.support.sink import sink

TEXT = {"blank", "max_length", "unstorable_text"}
"""What the field itself refuses first, whatever it would mean as a URL."""


@pytest.mark.django_db
def test_every_hostile_url_is_refused_when_it_is_saved(
    api: Caller, workspace: Workspace, settings: LazySettings
) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    for url, code in HOSTILE:
        answer = api.post("destinations/", {"name": "x", "url": url})
        assert answer.status == 400, ascii(url)
        [(pointer, said)] = answer.pointers
        assert pointer == "/url", ascii(url)
        assert said == code or said in TEXT, (ascii(url), said)
    assert not Destination.objects.in_workspace(workspace.pk).exists()


@pytest.mark.django_db
def test_every_hostile_url_is_refused_as_a_change(
    api: Caller, workspace: Workspace, settings: LazySettings
) -> None:
    settings.OUTBOUND_ALLOWED_NETWORKS = []
    saved = factories.destination(workspace, url="https://example.com/")
    for url, _ in HOSTILE[::10]:
        assert api.patch(f"destinations/{saved.pk}/", {"url": url}).status == 400, ascii(url)
    saved.refresh_from_db()
    assert saved.url == "https://example.com/"


@pytest.mark.django_db(transaction=True)
def test_the_test_button_leads_through_the_same_door(
    api: Caller, workspace: Workspace, settings: LazySettings
) -> None:
    """A destination that was saved while its network was open, and tried once it is not."""
    with sink() as out:
        saved = to(workspace, out.url, events=["task_deleted"])
        settings.OUTBOUND_ALLOWED_NETWORKS = ["10.0.0.0/8"]
        assert api.post(f"destinations/{saved.pk}/test/").status == 202
        deliver()
        settings.OUTBOUND_ALLOWED_NETWORKS = ["127.0.0.0/8"]
        assert api.post(f"destinations/{saved.pk}/test/").status == 202
        deliver()
        assert len(out.came) == 1
    tried = Attempt.objects.filter(delivery__destination=saved).order_by("started_at")
    assert [(one.error, one.failed_phase) for one in tried] == [
        ("address_refused", "dns"),
        ("", ""),
    ]
