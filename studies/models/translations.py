from django.db import models
from django.db.models import Q

from studies.models.designs import Language, Study


class StudyTranslation(models.Model):
    """A study's texts in another language; the standard text stands for each blank."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="translations")
    language = models.CharField(max_length=10, choices=Language)
    question = models.CharField(
        max_length=200, blank=True, help_text="Blank for the standard question of the task."
    )
    welcome_text = models.TextField(blank=True)
    consent_text = models.TextField(blank=True)
    instructions_text = models.TextField(blank=True)
    debrief_text = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "language"], name="studies_studytranslation_once"
            ),
            models.CheckConstraint(
                condition=Q(language__in=Language.values),
                name="studies_studytranslation_language_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study} ({self.get_language_display()})"
