import uuid

from django.db import models
from django.db.models import Q

from studies.models.designs import Language, Study
from studies.models.participants import Participant


class QuestionKind(models.TextChoices):
    CHOICE = "choice", "one of several choices"
    NUMBER = "number", "a number"
    TEXT = "text", "a text"
    SCALE = "scale", "a point on a scale"


class QuestionMoment(models.TextChoices):
    BEFORE = "before", "before the trials"
    AFTER = "after", "after the trials"


class Question(models.Model):
    """One of the experimenter's own questions, before or after the trials."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="questions")
    # Becomes a column of the participants' table.
    name = models.SlugField(max_length=40, help_text="Its column in the exported table.")
    moment = models.CharField(
        "when", max_length=6, choices=QuestionMoment, default=QuestionMoment.BEFORE
    )
    position = models.PositiveSmallIntegerField(default=1)
    kind = models.CharField(max_length=6, choices=QuestionKind, default=QuestionKind.CHOICE)
    text = models.CharField(max_length=500)
    choices = models.TextField(
        blank=True, help_text="One a line. On a scale: the words at its lower and upper end."
    )
    minimum = models.FloatField(null=True, blank=True, help_text="Of a number or a scale.")
    maximum = models.FloatField(null=True, blank=True, help_text="Of a number or a scale.")
    is_required = models.BooleanField("required", default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["moment", "position", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["study", "name"], name="studies_question_name_once",
                violation_error_message="Another question of this study has this name.",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=QuestionKind.values), name="studies_question_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(moment__in=QuestionMoment.values),
                name="studies_question_moment_known",
            ),
            models.CheckConstraint(
                condition=~Q(kind=QuestionKind.CHOICE) | ~Q(choices=""),
                name="studies_question_choice_has_choices",
                violation_error_message="Write the choices, one a line.",
            ),
            models.CheckConstraint(
                condition=~Q(kind=QuestionKind.SCALE)
                | Q(minimum__isnull=False, maximum__isnull=False),
                name="studies_question_scale_has_ends",
                violation_error_message="A scale needs a minimum and a maximum.",
            ),
            models.CheckConstraint(
                condition=Q(minimum=None) | Q(maximum=None) | Q(minimum__lt=models.F("maximum")),
                name="studies_question_range_rises",
                violation_error_message="The minimum must be below the maximum.",
            ),
        ]

    def __str__(self) -> str:
        return self.text


class QuestionTranslation(models.Model):
    """A question in another language; its choices correspond line by line."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="translations")
    language = models.CharField(max_length=10, choices=Language)
    text = models.CharField(max_length=500)
    choices = models.TextField(blank=True, help_text="In the order of the question's own.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["question", "language"], name="studies_questiontranslation_once"
            ),
            models.CheckConstraint(
                condition=Q(language__in=Language.values),
                name="studies_questiontranslation_language_known",
            ),
        ]

    def __str__(self) -> str:
        return self.text


class QuestionAnswer(models.Model):
    """What a participant said to a question. Inserted once, erased by a withdrawal only."""

    participant = models.ForeignKey(
        Participant, on_delete=models.PROTECT, related_name="question_answers"
    )
    question = models.ForeignKey(Question, on_delete=models.PROTECT, related_name="answers")
    # A choice in the words of the study's own language; a number as it was read.
    value = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["participant", "question"], name="studies_questionanswer_once"
            ),
        ]

    def __str__(self) -> str:
        return f"answer to “{self.question}”"
