from django.db import migrations, models
from django.db.models import F, Q


class Migration(migrations.Migration):
    """Rows that cannot be shown, counted or timed are refused; a broken pair says why it is."""

    dependencies = [
        ("generation", "0002_pending_renders_by_attempts"),
        ("studies", "0003_prepared_drafts_may_change"),
    ]
    operations = [
        migrations.AddField(
            model_name="pair",
            name="composition_error",
            field=models.TextField(blank=True),
        ),
        migrations.AddConstraint(
            model_name="pair",
            constraint=models.CheckConstraint(
                condition=~Q(candidate=F("baseline")), name="studies_pair_images_differ"
            ),
        ),
        migrations.AddConstraint(
            model_name="study",
            constraint=models.CheckConstraint(
                condition=Q(main_trials__lte=5000), name="studies_study_main_trials_few",
                violation_error_message="At most 5000 main trials are possible. "
                "Lower “main trials”.",
            ),
        ),
        migrations.AddConstraint(
            model_name="study",
            constraint=models.CheckConstraint(
                condition=Q(practice_trials__lte=100), name="studies_study_practice_trials_few",
                violation_error_message="At most 100 practice trials are possible. "
                "Lower “practice trials”.",
            ),
        ),
        migrations.AddConstraint(
            model_name="studysession",
            constraint=models.CheckConstraint(
                condition=Q(state="closed", closed_at__isnull=False)
                | ~Q(state="closed") & Q(closed_at__isnull=True),
                name="studies_studysession_closed_is_timed",
            ),
        ),
    ]
