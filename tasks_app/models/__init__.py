"""The rows. Integrity lives in their constraints, filters on their QuerySets."""

from tasks_app.models.api_key import ApiKey, Scope, scopes_of_role
from tasks_app.models.attempt import Attempt
from tasks_app.models.attempt_count import AttemptCount
from tasks_app.models.circuit import Circuit, CircuitState, Gate
from tasks_app.models.delivery import OPEN_STATES, Delivery, DeliveryState
from tasks_app.models.destination import Destination, DestinationCounter, DestinationState
from tasks_app.models.event import Event
from tasks_app.models.idempotency_key import IdempotencyKey
from tasks_app.models.ids import uuid7
from tasks_app.models.import_job import (
    ImportChunk,
    ImportFault,
    ImportFormat,
    ImportJob,
    ImportState,
)
from tasks_app.models.invitation import Invitation
from tasks_app.models.log_floor import LogFloor
from tasks_app.models.long_queue import LongQueue
from tasks_app.models.membership import Membership, Role
from tasks_app.models.metric_report import MetricReport
from tasks_app.models.notice import Notice, NoticeKind
from tasks_app.models.process_beat import ProcessBeat
from tasks_app.models.replay import Replay, ReplayState
from tasks_app.models.schedule import CatchUp, Schedule, ScheduleOccurrence, ScheduleState
from tasks_app.models.stream_ticket import StreamTicket
from tasks_app.models.task import Priority, Status, SyncState, Task, TaskSync
from tasks_app.models.twin import Twin
from tasks_app.models.workspace import Workspace, WorkspaceHead

__all__ = [
    "OPEN_STATES",
    "ApiKey",
    "Attempt",
    "AttemptCount",
    "CatchUp",
    "Circuit",
    "CircuitState",
    "Delivery",
    "DeliveryState",
    "Destination",
    "DestinationCounter",
    "DestinationState",
    "Event",
    "Gate",
    "IdempotencyKey",
    "ImportChunk",
    "ImportFault",
    "ImportFormat",
    "ImportJob",
    "ImportState",
    "Invitation",
    "LogFloor",
    "LongQueue",
    "Membership",
    "MetricReport",
    "Notice",
    "NoticeKind",
    "Priority",
    "ProcessBeat",
    "Replay",
    "ReplayState",
    "Role",
    "Schedule",
    "ScheduleOccurrence",
    "ScheduleState",
    "Scope",
    "Status",
    "StreamTicket",
    "SyncState",
    "Task",
    "TaskSync",
    "Twin",
    "Workspace",
    "WorkspaceHead",
    "scopes_of_role",
    "uuid7",
]
