"""Invitations, password resets, the end of workspaces; one account an address, one owner at least."""

from pathlib import Path

import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import tasks_app.models.ids

SQL = Path(__file__).parent / "sql" / "0010_people.sql"
UNDO = """
DROP TRIGGER workspace_has_owner ON membership;
DROP FUNCTION aftercommit_workspace_has_owner();
DROP INDEX user_name_once;
DROP INDEX user_email_once;
"""


class Migration(migrations.Migration):
    """Invitations, password resets, the end of workspaces."""

    dependencies = [
        ("tasks_app", "0009_idempotency"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [
        migrations.AddField(
            model_name="workspace",
            name="deleted_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="workspace",
            index=models.Index(
                fields=["deleted_at"],
                condition=models.Q(("deleted_at__isnull", False)),
                name="workspace_to_erase",
            ),
        ),
        migrations.AddConstraint(
            model_name="workspace",
            constraint=models.CheckConstraint(
                condition=models.Q(("slug__regex", "\\A[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?\\Z")),
                name="workspace_slug_stands_anywhere",
            ),
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.UUIDField(default=tasks_app.models.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("email", models.EmailField(max_length=254)),
                ("role", models.CharField(choices=[("viewer", "Viewer"), ("member", "Member"), ("admin", "Admin"), ("owner", "Owner")], default="member", max_length=10)),
                ("invited_by", models.CharField(max_length=150)),
                ("inviter_id", models.UUIDField(editable=False, null=True)),
                ("issue", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("accepted_by", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("workspace", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to="tasks_app.workspace")),
            ],
            options={
                "db_table": "invitation",
                "indexes": [
                    models.Index(django.db.models.functions.text.Lower("email"), models.F("expires_at"), name="invitation_to_address"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("workspace"),
                        django.db.models.functions.text.Lower("email"),
                        condition=models.Q(("accepted_at", None), ("revoked_at", None)),
                        name="invitation_open_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("role__in", ["viewer", "member", "admin", "owner"])),
                        name="invitation_role_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("accepted_at", None), ("revoked_at", None), _connector="OR"),
                        name="invitation_ends_once",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="notice",
            name="address",
            field=models.CharField(blank=True, default="", max_length=254),
        ),
        migrations.AddField(
            model_name="notice",
            name="invitation_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AlterField(
            model_name="notice",
            name="destination_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AlterField(
            model_name="notice",
            name="kind",
            field=models.CharField(choices=[("auto_paused", "Auto Paused"), ("circuit_opened", "Circuit Opened"), ("recovered", "Recovered"), ("invitation", "Invitation"), ("password_reset", "Password Reset")], max_length=20),
        ),
        migrations.AlterField(
            model_name="notice",
            name="workspace_id",
            field=models.UUIDField(null=True),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(django.db.models.functions.text.Lower("address"), models.F("created_at"), condition=models.Q(("kind", "password_reset")), name="notice_to_address"),
        ),
        migrations.AddIndex(
            model_name="notice",
            index=models.Index(fields=["next_try_at"], condition=models.Q(("ended_at__isnull", True), ("kind", "password_reset")), name="notice_due_first"),
        ),
        migrations.RunSQL(SQL.read_text(encoding="utf-8"), UNDO),
    ]
