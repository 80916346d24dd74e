"""Where a workspace's log begins: retention has cut off what was before."""

from django.db import models


class LogFloor(models.Model):
    """The old end of one log; no row means that it begins with its first event.

    ``kept_from`` is raised under the workspace's head: whoever holds that knows that nothing older
    is asked for any more. Rows go later, a batch at a time, and only what nobody needs.
    """

    workspace_id = models.UUIDField(primary_key=True)
    kept_from = models.BigIntegerField(default=1, db_default=1)
    #: Up to here nothing is left: neither events nor their deliveries.
    erased_to = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "log_floor"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(erased_to__lt=models.F("kept_from")),
                name="log_floor_keeps_what_it_says",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workspace_id}: {self.kept_from}"
