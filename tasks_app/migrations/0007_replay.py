from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0006_auth")]
    operations = []
