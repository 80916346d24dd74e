"""The admin at `/admin/`: every model, quick on millions of rows, changed by actions alone."""

from tasks_app.admin import (  # noqa: F401 - each registers its model
    api_key,
    attempt,
    delivery,
    destination,
    event,
    journal,
    login_attempt,
    membership,
    replay,
    task,
    user,
    workspace,
)
from tasks_app.admin.others import register_others
from tasks_app.admin.site import site

register_others(site)

__all__ = ["site"]
