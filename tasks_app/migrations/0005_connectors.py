from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tasks_app", "0004_gates")]
    operations = []
