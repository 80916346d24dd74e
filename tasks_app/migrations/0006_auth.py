"""Credentials, certificates and signing keys of destinations; the headers are sealed as well."""

from django.db import migrations, models

from tasks_app.models.sealed import seal_json
from tasks_app.security.masking import MASK


def seal_headers(apps, schema_editor):
    """Seal the headers that stand in plain, and leave their names."""
    rows = apps.get_model("tasks_app", "Destination").objects.exclude(headers={})
    for row in rows.iterator():
        row.sealed_headers = seal_json(row, "headers", row.headers)
        row.headers = dict.fromkeys(row.headers, MASK)
        row.save(update_fields=["headers", "sealed_headers"])


def text(**options):
    return models.TextField(blank=True, default="", editable=False, **options)


def public_key():
    return models.CharField(blank=True, default="", editable=False, max_length=64)


FIELDS = {
    "auth": models.JSONField(blank=True, null=True),
    "tls": models.JSONField(blank=True, null=True),
    "sealed_headers": text(),
    "sealed_auth": text(),
    "sealed_tls": text(),
    "signature": models.CharField(
        choices=[("v1", "V1"), ("v1a", "V1A"), ("both", "Both")], default="v1", max_length=4
    ),
    "public_key": public_key(),
    "old_public_key": public_key(),
    "sealed_signing_key": text(),
    "sealed_old_signing_key": text(),
}


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0005_connectors")]

    operations = [
        *(
            migrations.AddField(model_name="destination", name=name, field=field)
            for name, field in FIELDS.items()
        ),
        migrations.AddConstraint(
            model_name="destination",
            constraint=models.CheckConstraint(
                condition=models.Q(signature__in=["v1", "v1a", "both"]),
                name="destination_signature_known",
            ),
        ),
        # Backwards the headers stay masked: nothing is written down in plain again.
        migrations.RunPython(seal_headers, migrations.RunPython.noop),
    ]
