"""What beat rings, and how often. Every job is idempotent, so two beats are harmless."""

from typing import Any

SWEEP_EVERY_SECONDS = 1.0
SCHEDULES_EVERY_SECONDS = 1.0
IMPORTS_EVERY_SECONDS = 1.0

schedule: dict[str, dict[str, Any]] = {
    "sweep": {
        "task": "tasks_app.sweep",
        "schedule": SWEEP_EVERY_SECONDS,
        "options": {"queue": "sweep", "ignore_result": True},
    },
    "imports": {
        "task": "tasks_app.run_imports",
        "schedule": IMPORTS_EVERY_SECONDS,
        "options": {"queue": "sweep", "ignore_result": True},
    },
    "schedules": {
        "task": "tasks_app.run_schedules",
        "schedule": SCHEDULES_EVERY_SECONDS,
        "options": {"queue": "sweep", "ignore_result": True},
    },
}
