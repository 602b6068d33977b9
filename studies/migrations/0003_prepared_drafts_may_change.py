import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A draft's stimuli go with their pairs, and its state is named for what it is."""

    dependencies = [("studies", "0002_responses_are_append_only")]
    operations = [
        migrations.AlterField(
            model_name="stimulus",
            name="pair",
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE,
                                    related_name="stimuli", to="studies.pair"),
        ),
        migrations.AlterField(
            model_name="study",
            name="state",
            field=models.CharField(
                choices=[("draft", "draft"), ("preparing", "in preparation"),
                         ("frozen", "launched")],
                default="draft", max_length=10,
            ),
        ),
    ]
