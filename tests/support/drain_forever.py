"""Drains in a process of its own, again and again, until killed: a worker without Celery.

``python -m tests.support.drain_forever`` works on DATABASE_URL. Nothing rings it: it looks.
"""

import importlib
import time

import django

PAUSE = 0.05  # seconds between two drains


def main() -> None:
    """Drain for ever; modules of the product can be imported once Django is ready."""
    django.setup()
    drain = importlib.import_module("tasks_app.delivery.drain")
    turn = importlib.import_module("tasks_app.delivery.worker").turn
    while True:
        drain.run_once(turn)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
