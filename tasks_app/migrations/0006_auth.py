from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0005_connectors")]
    operations = []
