from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("generation", "0001_initial")]

    operations = [
        migrations.RemoveIndex(model_name="render", name="generation_render_pending"),
        migrations.AddIndex(
            model_name="render",
            index=models.Index(
                models.F("model"), models.F("attempts"), models.F("id"),
                condition=models.Q(state="pending"), name="generation_render_pending",
            ),
        ),
    ]
