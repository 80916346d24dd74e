"""A one-use ticket for a WebSocket that can't send a header."""

from django.db import models

from tasks_app.models.api_key import ApiKey
from tasks_app.models.membership import Membership


class StreamTicket(models.Model):
    """One ticket, kept as a digest; deleting it is using it."""

    digest = models.CharField(max_length=64, primary_key=True)
    membership = models.ForeignKey(Membership, models.CASCADE)
    api_key = models.ForeignKey(ApiKey, models.CASCADE, null=True)
    session_key = models.CharField(max_length=40, blank=True, default="")
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "stream_ticket"

    def __str__(self) -> str:
        return f"ticket of {self.membership_id}"
