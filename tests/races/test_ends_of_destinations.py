"""A destination that is being deleted: nothing comes after it any more, nothing of it is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tasks_app.actions.destination import change_destination, delete_destination
from tasks_app.delivery.ramp import close_ramps
from tasks_app.exceptions import Invalid
from tasks_app.models import Circuit, Destination, Event, Notice, Workspace
from tests.races.test_delivery_races import Holder, blocked
from tests.support.engine import to
from tests.support.factories import cause

pytestmark = pytest.mark.django_db(transaction=True)
NOWHERE = "http://127.0.0.1:9/"


def delete(one: Destination) -> None:
    delete_destination(workspace_id=one.workspace_id, destination_id=one.pk, cause=cause())


def come_after(one: Destination, first: Destination) -> None:
    change_destination(
        workspace_id=one.workspace_id,
        destination_id=one.pk,
        fields={"after": first.pk},
        cause=cause(),
    )


def test_what_comes_after_it_at_the_last_moment_comes_after_none(workspace: Workspace) -> None:
    first = to(workspace, NOWHERE, name="first")
    creating = Holder(lambda: to(workspace, NOWHERE, name="second", after=first.pk))
    deleted = blocked(lambda: delete(first))
    creating.commit()
    deleted()
    second = Destination.objects.get(name="second")
    assert second.after is None
    assert not Destination.objects.filter(pk=first.pk, deleted_at=None).exists()
    kinds = Event.objects.in_workspace(workspace.pk).order_by("-seq").values_list("type", flat=True)
    assert list(kinds[:2]) == ["destination_changed", "destination_deleted"]


def test_what_is_changed_to_come_after_it_comes_after_none(workspace: Workspace) -> None:
    first, second = to(workspace, NOWHERE, name="first"), to(workspace, NOWHERE, name="second")
    changing = Holder(lambda: come_after(second, first))
    deleted = blocked(lambda: delete(first))
    changing.commit()
    deleted()
    second.refresh_from_db()
    assert second.after is None


def test_nothing_is_made_to_come_after_what_is_deleted_meanwhile(workspace: Workspace) -> None:
    first = to(workspace, NOWHERE, name="first")
    deleting = Holder(lambda: delete(first))

    def create() -> None:
        with pytest.raises(Invalid):
            to(workspace, NOWHERE, name="second", after=first.pk)

    created = blocked(create)
    deleting.commit()
    created()
    assert not Destination.objects.filter(name="second").exists()


def test_a_deleted_one_does_not_recover(workspace: Workspace) -> None:
    gone, there = to(workspace, NOWHERE, name="gone"), to(workspace, NOWHERE, name="there")
    ago = timezone.now() - timedelta(seconds=60)
    for one in (gone, there):
        Circuit.objects.create(
            destination_id=one.pk,
            state="ramping",
            since=ago,
            until=ago,
            told=True,
            told_by_mail=True,
        )
    delete(gone)
    assert close_ramps() == 2
    told = Event.objects.filter(type="destination_recovered")
    assert [event.data["destination"]["name"] for event in told] == ["there"]
    assert [notice.destination_id for notice in Notice.objects.all()] == [there.pk]
