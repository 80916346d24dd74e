"""Every address of the API. Read this first."""

from typing import Any

from django.urls import path, register_converter

from tasks_app.api.any_text import AnyText
from tasks_app.api.api_key import ApiKeyView
from tasks_app.api.bulk import BulkView
from tasks_app.api.delivery import DeliveryView
from tasks_app.api.destination import DestinationView
from tasks_app.api.event import EventView
from tasks_app.api.export import ExportView
from tasks_app.api.external_id import ExternalIdView
from tasks_app.api.import_job import ImportView
from tasks_app.api.invitation import InvitationView
from tasks_app.api.member import MemberView
from tasks_app.api.preview import PreviewView
from tasks_app.api.reconciliation import ReconciliationView
from tasks_app.api.replay import ReplayView
from tasks_app.api.schedule import ScheduleView
from tasks_app.api.stats import StatsView
from tasks_app.api.stream_ticket import StreamTicketView
from tasks_app.api.task import TaskView
from tasks_app.api.workspace import WorkspacesView

register_converter(AnyText, "any")

ONE_TASK: Any = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}
BY_EXTERNAL_ID: Any = {"get": "retrieve", "put": "update", "delete": "destroy"}
ONE_DESTINATION: Any = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
ONE_OF_PEOPLE: Any = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
ONE_SCHEDULE: Any = {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}

urlpatterns = [
    path("tasks/", TaskView.as_view({"get": "list", "post": "create"})),
    path("tasks/bulk/", BulkView.as_view({"post": "create"})),
    path("tasks/export/", ExportView.as_view({"get": "retrieve"})),
    path("tasks/<uuid:task_id>/", TaskView.as_view(ONE_TASK)),
    path("tasks/by-external-id/<any:external_id>/", ExternalIdView.as_view(BY_EXTERNAL_ID)),
    path("tasks/<uuid:task_id>/events/", EventView.as_view({"get": "of_task"})),
    path("events/", EventView.as_view({"get": "list"})),
    path("destinations/", DestinationView.as_view({"get": "list", "post": "create"})),
    path("destinations/preview/", PreviewView.as_view({"post": "create"})),
    path("destinations/<uuid:destination_id>/", DestinationView.as_view(ONE_DESTINATION)),
    path("destinations/<uuid:destination_id>/test/", DestinationView.as_view({"post": "ping"})),
    path("destinations/<uuid:destination_id>/pause/", DestinationView.as_view({"post": "pause"})),
    path("destinations/<uuid:destination_id>/resume/", DestinationView.as_view({"post": "resume"})),
    path(
        "destinations/<uuid:destination_id>/rotate-secret/",
        DestinationView.as_view({"post": "rotate_secret"}),
    ),
    path("destinations/<uuid:destination_id>/replay/", ReplayView.as_view({"post": "create"})),
    path(
        "destinations/<uuid:destination_id>/deliveries/",
        ReconciliationView.as_view({"get": "list"}),
    ),
    path(
        "destinations/<uuid:destination_id>/deliveries/digest/",
        ReconciliationView.as_view({"get": "digest"}),
    ),
    path("replays/", ReplayView.as_view({"get": "list"})),
    path("replays/<uuid:replay_id>/", ReplayView.as_view({"get": "retrieve"})),
    path("replays/<uuid:replay_id>/cancel/", ReplayView.as_view({"post": "cancel"})),
    path("deliveries/", DeliveryView.as_view({"get": "list"})),
    path("deliveries/<uuid:delivery_id>/", DeliveryView.as_view({"get": "retrieve"})),
    path("deliveries/<uuid:delivery_id>/retry/", DeliveryView.as_view({"post": "retry"})),
    path("deliveries/<uuid:delivery_id>/cancel/", DeliveryView.as_view({"post": "cancel"})),
    path("workspaces/", WorkspacesView.as_view({"get": "list", "post": "create"})),
    path("workspaces/<uuid:workspace_id>/", WorkspacesView.as_view(ONE_OF_PEOPLE)),
    path("members/", MemberView.as_view({"get": "list", "post": "create"})),
    path("members/leave/", MemberView.as_view({"post": "leave"})),
    path("members/<uuid:member_id>/", MemberView.as_view(ONE_OF_PEOPLE)),
    path("invitations/", InvitationView.as_view({"get": "list", "post": "create"})),
    path(
        "invitations/<uuid:invitation_id>/",
        InvitationView.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path("invitations/<uuid:invitation_id>/resend/", InvitationView.as_view({"post": "resend"})),
    path("api-keys/", ApiKeyView.as_view({"get": "list", "post": "create"})),
    path("api-keys/<uuid:api_key_id>/", ApiKeyView.as_view(ONE_OF_PEOPLE)),
    path("imports/", ImportView.as_view({"get": "list", "post": "create"})),
    path("imports/<uuid:import_id>/", ImportView.as_view({"get": "retrieve"})),
    path("imports/<uuid:import_id>/cancel/", ImportView.as_view({"post": "cancel"})),
    path("schedules/", ScheduleView.as_view({"get": "list", "post": "create"})),
    path("schedules/preview/", ScheduleView.as_view({"post": "preview"})),
    path("schedules/<uuid:schedule_id>/", ScheduleView.as_view(ONE_SCHEDULE)),
    path("schedules/<uuid:schedule_id>/pause/", ScheduleView.as_view({"post": "pause"})),
    path("schedules/<uuid:schedule_id>/resume/", ScheduleView.as_view({"post": "resume"})),
    path(
        "schedules/<uuid:schedule_id>/occurrences/",
        ScheduleView.as_view({"get": "occurrences"}),
    ),
    path("stats/", StatsView.as_view({"get": "retrieve"})),
    path("stream/ticket/", StreamTicketView.as_view({"post": "create"})),
]
