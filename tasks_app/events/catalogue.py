"""Every type of event, and whether destinations hear of it.

Outcome events are *not delivered*: otherwise outcomes would breed outcomes.
"""

from enum import StrEnum


class EventType(StrEnum):
    """What a row of the log can tell."""

    TASK_CREATED = "task_created"
    TASK_UPDATED = "task_updated"
    TASK_DELETED = "task_deleted"
    TASK_SYNCED = "task_synced"
    TASK_SYNC_RETRYING = "task_sync_retrying"
    TASK_SYNC_FAILED = "task_sync_failed"
    TASK_SYNC_SCHEDULED = "task_sync_scheduled"
    TASK_SYNC_CANCELLED = "task_sync_cancelled"
    TASK_SYNC_SUPERSEDED = "task_sync_superseded"
    DESTINATION_CREATED = "destination_created"
    DESTINATION_CHANGED = "destination_changed"
    DESTINATION_DELETED = "destination_deleted"
    DESTINATION_PAUSED = "destination_paused"
    DESTINATION_RESUMED = "destination_resumed"
    DESTINATION_AUTO_PAUSED = "destination_auto_paused"
    DESTINATION_CIRCUIT_OPENED = "destination_circuit_opened"
    DESTINATION_RECOVERED = "destination_recovered"
    DESTINATION_SECRET_ROTATED = "destination_secret_rotated"  # noqa: S105
    DESTINATION_TESTED = "destination_tested"
    REPLAY_PROGRESS = "replay_progress"
    IMPORT_PROGRESS = "import_progress"
    SCHEDULE_CREATED = "schedule_created"
    SCHEDULE_CHANGED = "schedule_changed"
    SCHEDULE_PAUSED = "schedule_paused"
    SCHEDULE_RESUMED = "schedule_resumed"
    SCHEDULE_DELETED = "schedule_deleted"
    SCHEDULE_MISSED = "schedule_missed"
    SCHEDULE_FAILED = "schedule_failed"
    WORKSPACE_CREATED = "workspace_created"
    WORKSPACE_CHANGED = "workspace_changed"
    WORKSPACE_DELETED = "workspace_deleted"
    MEMBER_ADDED = "member_added"
    MEMBER_ROLE_CHANGED = "member_role_changed"
    MEMBER_REMOVED = "member_removed"
    INVITATION_CREATED = "invitation_created"
    INVITATION_RESENT = "invitation_resent"
    INVITATION_REVOKED = "invitation_revoked"
    API_KEY_CREATED = "api_key_created"
    API_KEY_CHANGED = "api_key_changed"
    API_KEY_REVOKED = "api_key_revoked"
    PING = "ping"


#: What fans out to destinations; a ``ping`` goes to the one it tests.
DELIVERED = frozenset(
    {
        EventType.TASK_CREATED,
        EventType.TASK_UPDATED,
        EventType.TASK_DELETED,
        EventType.PING,
    }
)

#: What a destination's event filter may name.
SUBSCRIBABLE = frozenset(DELIVERED - {EventType.PING})
