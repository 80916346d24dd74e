"""Schedules: `/api/v1/schedules/`."""

from typing import Any, Final
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from tasks_app.access import Capability
from tasks_app.actions import schedule as actions
from tasks_app.api import filters
from tasks_app.api.concurrency import etag, expected_versions
from tasks_app.api.fields import NOTHING
from tasks_app.api.pagination import Orderings, page
from tasks_app.api.schedule_fields import (
    PART,
    RESTLESS,
    TRIED,
    WHOLE,
    OccurrenceSerializer,
    RunsSerializer,
    ScheduleChangeSerializer,
    ScheduleDetailSerializer,
    ScheduleSerializer,
    ScheduleTrySerializer,
    next_runs,
    told_in_detail,
    told_occurrence,
    told_schedule,
)
from tasks_app.api.schema import documented, page_of
from tasks_app.api.workspace_view import WorkspaceView, listed, shown
from tasks_app.exceptions import NotFound
from tasks_app.models import Schedule, ScheduleOccurrence, ScheduleState
from tasks_app.queries.snapshot import snapshot_at_head

ORDERINGS: Final[Orderings] = {"created_at": "created_at", "name": "name"}
FILTERS: Final = (
    filters.words("state", ScheduleState.values, filters.within("state")),
    filters.text("name", filters.within("name")),
)
TIMES: Final[Orderings] = {"at": "at"}
SchedulePage: Final = page_of(ScheduleSerializer)
OccurrencePage: Final = page_of(OccurrenceSerializer)


class ScheduleView(WorkspaceView):
    """Create, read, change, delete, pause and resume recurring tasks; see when they come."""

    capabilities = {
        "list": Capability.READ,
        "retrieve": Capability.READ,
        "occurrences": Capability.READ,
        "preview": Capability.READ,
        "create": Capability.MANAGE_SCHEDULES,
        "partial_update": Capability.MANAGE_SCHEDULES,
        "destroy": Capability.MANAGE_SCHEDULES,
        "pause": Capability.MANAGE_SCHEDULES,
        "resume": Capability.MANAGE_SCHEDULES,
    }

    @documented("schedules_list", SchedulePage, parameters=filters.parameters(FILTERS, ORDERINGS))
    def list(self, request: Request) -> Response:
        """List schedules, oldest first."""
        kept = filters.filtered(request, FILTERS)
        rows = Schedule.objects.in_workspace(self.workspace_id).filter(kept)
        with snapshot_at_head(self.workspace_id) as head:
            found = page(
                request, rows, orderings=ORDERINGS, default="created_at", tell=told_schedule
            )
        return listed(found, found.told, head)

    @documented(
        "schedules_create",
        ScheduleDetailSerializer,
        request=ScheduleSerializer,
        status=201,
        tag=True,
        example={
            "name": "Weekly report",
            "cron": "0 9 * * MON",
            "time_zone": "Europe/Berlin",
            "template": {"title": "Write the weekly report", "due_in": 28_800},
        },
    )
    def create(self, request: Request) -> Response:
        """Create a schedule; its first task comes at its next time."""
        fields = WHOLE.read_new(request.data)
        schedule = actions.create_schedule(
            workspace_id=self.workspace_id, fields=fields, cause=self.cause
        )
        location = request.build_absolute_uri(f"{request.path}{schedule.pk}/")
        headers = {"ETag": etag(schedule.version), "Location": location}
        return Response(told_in_detail(schedule), status=201, headers=headers)

    @documented(
        "schedules_preview",
        RunsSerializer,
        request=ScheduleTrySerializer,
        cursor=False,
        example={"cron": "30 2 * * *", "time_zone": "Europe/Berlin"},
    )
    def preview(self, request: Request) -> Response:
        """Show when an expression comes next in a time zone, without making anything."""
        tried = TRIED.read_new(request.data)
        return Response({"next_runs": next_runs(actions.calendar_of(**tried), actions.clock())})

    @documented("schedules_retrieve", ScheduleDetailSerializer, tag=True)
    def retrieve(self, request: Request, schedule_id: UUID) -> Response:
        """Show a schedule and when it comes next."""
        with snapshot_at_head(self.workspace_id) as head:
            schedule = self._found(schedule_id)
        return shown(told_in_detail(schedule), head, ETag=etag(schedule.version))

    @documented(
        "schedules_occurrences",
        OccurrencePage,
        parameters=filters.parameters((), TIMES),
    )
    def occurrences(self, request: Request, schedule_id: UUID) -> Response:
        """List what came of its times in the last 90 days, newest first."""
        filters.filtered(request, ())
        with snapshot_at_head(self.workspace_id) as head:
            rows = ScheduleOccurrence.objects.filter(schedule=self._found(schedule_id))
            found = page(request, rows, orderings=TIMES, default="-at")
        return listed(found, [told_occurrence(row) for row in found.rows], head)

    @documented(
        "schedules_partial_update",
        ScheduleDetailSerializer,
        request=ScheduleChangeSerializer,
        tag=True,
        if_match=True,
        cursor=False,
    )
    def partial_update(self, request: Request, schedule_id: UUID) -> Response:
        """Change the fields that are given, also within the template."""
        named = self._named(request, schedule_id)
        fields, echoed = PART.read(request.data)
        schedule = actions.change_schedule(
            **named,
            fields=fields,
            echoed={name: value for name, value in echoed.items() if name not in RESTLESS},
        )
        return _changed(schedule)

    @documented("schedules_destroy", None, status=204, if_match=True)
    def destroy(self, request: Request, schedule_id: UUID) -> Response:
        """Delete a schedule; the tasks that it made stay."""
        actions.delete_schedule(**self._named(request, schedule_id))
        return Response(status=204)

    @documented("schedules_pause", ScheduleDetailSerializer, tag=True, if_match=True, cursor=False)
    def pause(self, request: Request, schedule_id: UUID) -> Response:
        """Make no tasks until it is resumed."""
        NOTHING.read(request.data)
        return _changed(actions.pause_schedule(**self._named(request, schedule_id)))

    @documented("schedules_resume", ScheduleDetailSerializer, tag=True, if_match=True, cursor=False)
    def resume(self, request: Request, schedule_id: UUID) -> Response:
        """Make tasks again, from the next time on."""
        NOTHING.read(request.data)
        return _changed(actions.resume_schedule(**self._named(request, schedule_id)))

    def _found(self, schedule_id: UUID) -> Schedule:
        rows = Schedule.objects.in_workspace(self.workspace_id)
        schedule = rows.filter(pk=schedule_id).first()
        if schedule is None:
            raise NotFound
        return schedule

    def _named(self, request: Request, schedule_id: UUID) -> dict[str, Any]:
        return {
            "workspace_id": self.workspace_id,
            "schedule_id": schedule_id,
            "cause": self.cause,
            "if_version": expected_versions(request.META.get("HTTP_IF_MATCH")),
        }


def _changed(schedule: Schedule) -> Response:
    return Response(told_in_detail(schedule), headers={"ETag": etag(schedule.version)})
