"""What beat rings, and how often. Every job is idempotent, so two beats are harmless."""

SWEEP_EVERY_SECONDS = 1.0
BEAT_MARK_EVERY_SECONDS = 2.0

schedule = {
    "sweep": {
        "task": "tasks_app.sweep",
        "schedule": SWEEP_EVERY_SECONDS,
        "options": {"queue": "sweep", "ignore_result": True},
    },
}
