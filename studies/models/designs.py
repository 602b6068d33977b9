import uuid

from django.db import models
from django.db.models import Q

from generation.models import DiffusionModel, Predictor, Prompt
from studies.method.arms import ARM_PATTERN
from studies.method.texts import effective_texts

MOST_MAIN_TRIALS = 5000
MOST_PRACTICE_TRIALS = 100


class Task(models.TextChoices):
    """What a trial asks. The task fixes what chance level means."""

    PREFERENCE = "preference", "preference: which do you prefer?"
    SIMILARITY = "similarity", "similarity: which is closer to the reference above?"


class StudyState(models.TextChoices):
    DRAFT = "draft", "draft"
    PREPARING = "preparing", "in preparation"
    FROZEN = "frozen", "launched"


class Study(models.Model):
    """The design of an experiment. Frozen, with a content hash, at its first launch."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=120, unique=True)
    version = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=10, choices=StudyState, default=StudyState.DRAFT)
    model = models.ForeignKey(DiffusionModel, on_delete=models.PROTECT, related_name="studies")
    predictor = models.ForeignKey(Predictor, on_delete=models.PROTECT, related_name="studies")
    task = models.CharField(max_length=10, choices=Task, default=Task.PREFERENCE)
    question = models.CharField(max_length=200, default="Which image do you prefer?")
    welcome_text = models.TextField(
        blank=True, help_text="Markdown. The landing page: what, who, how long, how paid."
    )
    consent_text = models.TextField(blank=True, help_text="Markdown. What participants agree to.")
    instructions_text = models.TextField(blank=True, help_text="Markdown.")
    debrief_text = models.TextField(blank=True, help_text="Markdown. Shown with the code.")
    practice_trials = models.PositiveSmallIntegerField(default=2, help_text="Never analysed.")
    main_trials = models.PositiveSmallIntegerField(
        default=20, help_text="Per participant; at most one per prompt."
    )
    # What went wrong while preparing, in the experimenter's words.
    preparation_error = models.TextField(blank=True)
    # Begun and not ended: each is a worker that died meanwhile, or the one at work.
    preparation_attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    content_hash = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    frozen_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "studies"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=StudyState.values), name="studies_study_state_known"
            ),
            models.CheckConstraint(
                condition=Q(task__in=Task.values), name="studies_study_task_known",
                violation_error_message="Choose one of the tasks.",
            ),
            models.CheckConstraint(
                condition=Q(main_trials__gte=1), name="studies_study_main_trials_positive",
                violation_error_message="A participant needs at least 1 main trial. "
                "Raise “main trials”.",
            ),
            # Together they stay far below what a trial's index can hold.
            models.CheckConstraint(
                condition=Q(main_trials__lte=MOST_MAIN_TRIALS),
                name="studies_study_main_trials_few",
                violation_error_message=f"At most {MOST_MAIN_TRIALS} main trials are possible. "
                "Lower “main trials”.",
            ),
            models.CheckConstraint(
                condition=Q(practice_trials__lte=MOST_PRACTICE_TRIALS),
                name="studies_study_practice_trials_few",
                violation_error_message=f"At most {MOST_PRACTICE_TRIALS} practice trials are "
                "possible. Lower “practice trials”.",
            ),
            models.CheckConstraint(
                condition=Q(state=StudyState.FROZEN, frozen_at__isnull=False,
                            content_hash__regex=r"^[0-9a-f]{64}$")
                | ~Q(state=StudyState.FROZEN) & Q(frozen_at__isnull=True, content_hash=""),
                name="studies_study_frozen_has_hash",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def is_frozen(self) -> bool:
        return self.state == StudyState.FROZEN

    def texts(self) -> dict[str, str]:
        """What participants read, by name: Markdown, with the standard text for each blank."""
        names = ("welcome", "consent", "instructions", "debrief")
        return effective_texts(
            {name: getattr(self, f"{name}_text") for name in names},
            task=self.task, num_trials=self.practice_trials + self.main_trials,
        )


class StudyPrompt(models.Model):
    """One prompt of a study's list."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="study_prompts")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="study_prompts")
    position = models.PositiveIntegerField(help_text="The prompt's place in the file, from 1.")
    category = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "prompt"], name="studies_studyprompt_prompt_once"
            ),
        ]

    def __str__(self) -> str:
        return self.prompt.text


class Contrast(models.Model):
    """A candidate arm against a baseline arm."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="contrasts")
    candidate_arm = models.CharField(
        "candidate", max_length=20, default="budgeted",
        help_text="budgeted, reference, uniform or fixed(n)",
    )
    baseline_arm = models.CharField(
        "compared with", max_length=20, default="reference",
        help_text="budgeted, reference, uniform or fixed(n)",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "candidate_arm", "baseline_arm"], name="studies_contrast_once"
            ),
            models.CheckConstraint(
                condition=Q(candidate_arm__regex=ARM_PATTERN, baseline_arm__regex=ARM_PATTERN),
                name="studies_contrast_arms_known",
                violation_error_message="An arm is “budgeted”, “reference”, “uniform” or "
                "“fixed(n)”, n being a number of steps.",
            ),
            models.CheckConstraint(
                condition=~Q(candidate_arm=models.F("baseline_arm")),
                name="studies_contrast_arms_differ",
                violation_error_message="Both arms are the same, so there is nothing to compare. "
                "Choose another one.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.candidate_arm} against {self.baseline_arm}"
