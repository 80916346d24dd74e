"""The HTTP API: deny by default, JSON in and out, problem+json for every refusal."""

from typing import Any

from config.env import env

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tasks_app.api.auth.ApiKeyAuthentication",
        "tasks_app.api.auth.WorkspaceSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["tasks_app.api.permissions.WorkspacePermission"],
    "DEFAULT_RENDERER_CLASSES": [  # the first is what all get who do not ask for another
        "tasks_app.api.rendering.JsonRenderer",
        "tasks_app.api.browsable.Page",
    ],
    "DEFAULT_PARSER_CLASSES": ["tasks_app.api.rendering.StrictJsonParser"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "tasks_app.api.errors.problem_response",
    "DEFAULT_THROTTLE_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "NON_FIELD_ERRORS_KEY": "\0",  # no field can have this name: NUL is refused
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024

# Of each key and of each logged-in user; a key may have a limit of its own. 0: none.
RATE_LIMIT_PER_MINUTE = env.integer("RATE_LIMIT_PER_MINUTE", 1200, low=0, high=1_000_000)
RATE_LIMIT_BURST = env.integer("RATE_LIMIT_BURST", 600, low=1, high=1_000_000)
# Of each address, for logins, password resets and invitations, each apart. 0: none.
RATE_LIMIT_ADDRESS_PER_MINUTE = env.integer(
    "RATE_LIMIT_ADDRESS_PER_MINUTE", 30, low=0, high=1_000_000
)

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Aftercommit",
    "DESCRIPTION": "Tasks whose every committed change reaches every system and screen, in order.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    "COMPONENT_SPLIT_REQUEST": True,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "ENUM_NAME_OVERRIDES": {
        "ActorKind": ["user", "api_key", "schedule", "system"],
        "DestinationKind": "tasks_app.api.outbound_fields.KINDS",
        "TaskStatus": "tasks_app.models.Status",
        "TaskPriority": "tasks_app.models.Priority",
        "SyncState": "tasks_app.models.SyncState",
        "DestinationState": "tasks_app.models.DestinationState",
        "CircuitState": "tasks_app.models.CircuitState",
        "DeliveryState": "tasks_app.models.DeliveryState",
        "Role": "tasks_app.models.Role",
        "KeyScope": "tasks_app.models.Scope",
        "InvitationState": "tasks_app.api.invitation.STATES",
        "ReplayState": "tasks_app.models.ReplayState",
        "ScheduleState": "tasks_app.models.ScheduleState",
        "CatchUp": "tasks_app.models.CatchUp",
        "ImportState": "tasks_app.models.ImportState",
        "ImportFormat": "tasks_app.models.ImportFormat",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tasks_app.api.idempotency_schema.tell_idempotency",
        "tasks_app.api.schema.tell_common_parts",
    ],
}
