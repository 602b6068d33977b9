import uuid
from typing import Self

from django.db import models
from django.db.models import Q

from generation.models import DiffusionModel, Predictor, Prompt
from studies.method.arms import ARM_PATTERN
from studies.method.plans import count_catch_pairs, count_extra
from studies.method.texts import effective_texts, is_standard_question

MOST_MAIN_TRIALS = 5000
MOST_PRACTICE_TRIALS = 100
MOST_EXTRA_PERCENT = 50
MOST_BLANK_MS = 10_000
MOST_VIEWING_MS = 600_000
WRITTEN_TEXTS = ("welcome", "consent", "instructions", "debrief")


class Task(models.TextChoices):
    """What a trial asks. The task fixes what chance level means."""

    PREFERENCE = "preference", "preference: which do you prefer?"
    SIMILARITY = "similarity", "similarity: which is closer to the reference above?"


class StudyState(models.TextChoices):
    DRAFT = "draft", "draft"
    PREPARING = "preparing", "in preparation"
    FROZEN = "frozen", "launched"


class Language(models.TextChoices):
    """The languages that the participant's pages speak."""

    ENGLISH = "en", "English"
    GERMAN = "de", "Deutsch"
    SPANISH = "es", "Español"
    CHINESE = "zh-hans", "简体中文"


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
    catch_percent = models.PositiveSmallIntegerField(
        default=10, help_text="Catch trials, of the main ones: one image has far too few steps."
    )
    repeat_percent = models.PositiveSmallIntegerField(
        default=10, help_text="Main trials shown once more with the sides swapped."
    )
    catch_steps = models.PositiveSmallIntegerField(
        default=1, help_text="Steps of the bad image in a catch trial."
    )
    trials_per_block = models.PositiveSmallIntegerField(
        default=40, help_text="A break is offered after so many; 0 for none."
    )
    blank_ms = models.PositiveSmallIntegerField(
        default=500, help_text="Milliseconds of empty surround before each pair of images."
    )
    min_viewing_ms = models.PositiveSmallIntegerField(
        default=0, help_text="Milliseconds during which no answer is taken yet."
    )
    # The images go, the question stays: nobody is stuck, and no answer is missing.
    viewing_limit_ms = models.PositiveIntegerField(
        null=True, blank=True,
        help_text="Milliseconds after which the images disappear; an answer is still taken. "
        "Blank for no limit.",
    )
    surround_grey = models.PositiveSmallIntegerField(
        default=117, help_text="Level of the neutral grey around the images, 0 (black) to 255."
    )
    image_scale = models.FloatField(
        null=True, blank=True,
        help_text="Screen pixels per image pixel. Blank: as large as the window allows.",
    )
    min_window_px = models.PositiveSmallIntegerField(
        default=320, help_text="Narrowest window that is allowed, in CSS pixels."
    )
    are_phones_allowed = models.BooleanField("phones allowed", default=True)
    has_landing = models.BooleanField("landing page", default=True)
    has_consent = models.BooleanField("consent", default=True)
    has_screen_check = models.BooleanField("screen check", default=True)
    has_instructions = models.BooleanField("instructions", default=True)
    has_debrief = models.BooleanField("debrief", default=True)
    language = models.CharField(
        max_length=10, choices=Language, default=Language.ENGLISH,
        help_text="Of the texts below. Other languages are added as translations.",
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
                condition=Q(catch_percent__lte=MOST_EXTRA_PERCENT,
                            repeat_percent__lte=MOST_EXTRA_PERCENT),
                name="studies_study_extra_trials_few",
                violation_error_message=f"At most {MOST_EXTRA_PERCENT} percent of catch trials, "
                "and as many of repeats, are possible.",
            ),
            models.CheckConstraint(
                condition=Q(catch_steps__gte=1), name="studies_study_catch_steps_positive",
                violation_error_message="An image needs at least 1 step. Raise “catch steps”.",
            ),
            models.CheckConstraint(
                condition=Q(surround_grey__lte=255), name="studies_study_surround_is_a_level",
                violation_error_message="A level of grey lies between 0 and 255.",
            ),
            models.CheckConstraint(
                condition=Q(image_scale=None) | Q(image_scale__gte=0.1, image_scale__lte=16),
                name="studies_study_image_scale_sane",
                violation_error_message="A scale lies between 0.1 and 16.",
            ),
            models.CheckConstraint(
                condition=Q(blank_ms__lte=MOST_BLANK_MS, min_viewing_ms__lte=MOST_BLANK_MS),
                name="studies_study_waits_short",
                violation_error_message=f"A wait is at most {MOST_BLANK_MS} milliseconds.",
            ),
            models.CheckConstraint(
                condition=Q(viewing_limit_ms=None)
                | Q(viewing_limit_ms__gte=100, viewing_limit_ms__lte=MOST_VIEWING_MS,
                    viewing_limit_ms__gt=models.F("min_viewing_ms")),
                name="studies_study_viewing_limit_sane",
                violation_error_message="The images need at least 100 milliseconds, at most "
                f"{MOST_VIEWING_MS}, and longer than the minimum viewing time.",
            ),
            models.CheckConstraint(
                condition=Q(language__in=Language.values), name="studies_study_language_known",
                violation_error_message="Choose one of the languages.",
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

    def num_catch_trials(self) -> int:
        """Of one participant, as are the other numbers of trials."""
        return self._num_extra()[0]

    def num_repeat_trials(self) -> int:
        return self._num_extra()[1]

    def num_trials(self) -> int:
        """How many a participant meets, of all kinds."""
        return self.practice_trials + self.main_trials + sum(self._num_extra())

    def num_catch_pairs(self, num_prompts: int) -> int:
        """How many catch pairs the study is given, with so many prompts."""
        return count_catch_pairs(
            num_prompts, catch_trials=self.num_catch_trials(),
            practice_trials=self.practice_trials,
        ) if self.catch_percent else 0

    def _num_extra(self) -> tuple[int, int]:
        return count_extra(self.main_trials, catch_percent=self.catch_percent,
                           repeat_percent=self.repeat_percent)

    def texts(self, language: str = "") -> dict[str, str]:
        """What participants read, by name: Markdown, with the standard text for each blank.

        In the study's own language unless another is named. Without a translation into that one,
        each text is the standard one.
        """
        language = language or self.language
        source = self if language == self.language else (
            self.translations.filter(language=language).first()
        )
        written = {name: getattr(source, f"{name}_text", "") for name in WRITTEN_TEXTS}
        question = getattr(source, "question", "")
        return effective_texts(
            {**written, "question": "" if is_standard_question(question) else question},
            task=self.task, num_trials=self.num_trials(), language=language,
        )

    def has_own_texts(self) -> bool:
        """Whether participants read anything that is not a standard text."""
        is_written = any(getattr(self, f"{name}_text").strip() for name in WRITTEN_TEXTS)
        return is_written or not is_standard_question(self.question) or self.questions.exists()


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


class ContrastQuerySet(models.QuerySet["Contrast"]):
    def compared(self) -> Self:
        """What the study asks about."""
        return self.filter(is_catch=False)

    def catch(self) -> Self:
        """What checks attention."""
        return self.filter(is_catch=True)


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
    is_catch = models.BooleanField(
        default=False, editable=False,
        help_text="Made by the study itself for its catch trials; never analysed.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ContrastQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "candidate_arm", "baseline_arm", "is_catch"],
                name="studies_contrast_once",
            ),
            models.UniqueConstraint(
                fields=["study"], condition=Q(is_catch=True), name="studies_contrast_one_catch"
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
