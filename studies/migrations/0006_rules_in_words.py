from django.db import migrations, models


class Migration(migrations.Migration):
    """What a form can break is said in the user's words; the database's rules stay."""

    dependencies = [
        ('generation', '0003_priorities_pauses_and_latencies'),
        ('studies', '0005_preparation_attempts'),
    ]

    operations = [
        migrations.AlterField(
            model_name='contrast',
            name='baseline_arm',
            field=models.CharField(default='reference', help_text='budgeted, reference, uniform or fixed(n)', max_length=20, verbose_name='compared with'),
        ),
        migrations.AlterField(
            model_name='contrast',
            name='candidate_arm',
            field=models.CharField(default='budgeted', help_text='budgeted, reference, uniform or fixed(n)', max_length=20, verbose_name='candidate'),
        ),
        migrations.AlterConstraint(
            model_name='contrast',
            name='studies_contrast_arms_known',
            constraint=models.CheckConstraint(condition=models.Q(('baseline_arm__regex', '^(budgeted|reference|uniform|fixed\\([1-9][0-9]{0,3}\\))$'), ('candidate_arm__regex', '^(budgeted|reference|uniform|fixed\\([1-9][0-9]{0,3}\\))$')), name='studies_contrast_arms_known', violation_error_message='An arm is “budgeted”, “reference”, “uniform” or “fixed(n)”, n being a number of steps.'),
        ),
        migrations.AlterConstraint(
            model_name='contrast',
            name='studies_contrast_arms_differ',
            constraint=models.CheckConstraint(condition=models.Q(('candidate_arm', models.F('baseline_arm')), _negated=True), name='studies_contrast_arms_differ', violation_error_message='Both arms are the same, so there is nothing to compare. Choose another one.'),
        ),
        migrations.AlterConstraint(
            model_name='study',
            name='studies_study_task_known',
            constraint=models.CheckConstraint(condition=models.Q(('task__in', ['preference', 'similarity'])), name='studies_study_task_known', violation_error_message='Choose one of the tasks.'),
        ),
        migrations.AlterConstraint(
            model_name='study',
            name='studies_study_main_trials_positive',
            constraint=models.CheckConstraint(condition=models.Q(('main_trials__gte', 1)), name='studies_study_main_trials_positive', violation_error_message='A participant needs at least 1 main trial. Raise “main trials”.'),
        ),
        migrations.AlterConstraint(
            model_name='studysession',
            name='studies_studysession_quota_positive',
            constraint=models.CheckConstraint(condition=models.Q(('quota__gte', 1)), name='studies_studysession_quota_positive', violation_error_message='At least 1 participant must be able to join. Raise “quota”.'),
        ),
    ]
