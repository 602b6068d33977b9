from django.db import migrations


def keep_old_studies_as_they_were(apps, schema_editor):
    """They have no catch pairs, and none can be added once they are launched."""
    apps.get_model("studies", "Study").objects.update(
        catch_percent=0, repeat_percent=0, trials_per_block=0, has_screen_check=False
    )


class Migration(migrations.Migration):
    dependencies = [("studies", "0007_the_whole_way")]
    operations = [
        migrations.RunPython(keep_old_studies_as_they_were, migrations.RunPython.noop)
    ]
