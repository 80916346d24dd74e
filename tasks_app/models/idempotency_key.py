"""What was answered to a request that named an `Idempotency-Key`, for as long as it is honoured."""

from django.db import models


class IdempotencyKey(models.Model):
    """One answer, written in the transaction that it tells of.

    No foreign keys: it is forgotten by its date, and nothing waits for its owner's row.
    """

    workspace_id = models.UUIDField()
    #: ``key:<id>`` of an API key or ``user:<id>`` of a session's user.
    owner = models.CharField(max_length=45)
    key = models.CharField(max_length=255)
    #: SHA-256 of method, path and body.
    fingerprint = models.BinaryField(max_length=32)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    #: As it was sent, byte for byte, sealed; null where it showed a secret, which is kept nowhere.
    body = models.BinaryField(null=True)
    expires_at = models.DateTimeField()

    class Meta:
        db_table = "idempotency_key"
        constraints = [
            models.UniqueConstraint(
                fields=["workspace_id", "owner", "key"], name="idempotency_key_once"
            ),
        ]
        indexes = [models.Index(fields=["expires_at"], name="idempotency_key_expiry")]

    def __str__(self) -> str:
        return f"key {self.pk}"
