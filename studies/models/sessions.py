import uuid

from django.db import models
from django.db.models import Q

from studies.models.designs import Study


class SessionState(models.TextChoices):
    DRAFT = "draft", "not opened yet"
    OPEN = "open", "open"
    CLOSED = "closed", "closed"


class StudySession(models.Model):
    """One run of a study: a recruitment wave with its own link, quota and state."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="sessions")
    name = models.CharField(max_length=120)
    quota = models.PositiveIntegerField(default=20, help_text="Participants at most.")
    state = models.CharField(max_length=6, choices=SessionState, default=SessionState.DRAFT)
    created_at = models.DateTimeField(auto_now_add=True)
    opened_at = models.DateTimeField(null=True, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "name"], name="studies_studysession_name_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=SessionState.values),
                name="studies_studysession_state_known",
            ),
            models.CheckConstraint(
                condition=Q(quota__gte=1), name="studies_studysession_quota_positive",
                violation_error_message="At least 1 participant must be able to join. "
                "Raise “quota”.",
            ),
            models.CheckConstraint(
                condition=Q(state=SessionState.DRAFT) | Q(opened_at__isnull=False),
                name="studies_studysession_opened_is_timed",
            ),
            models.CheckConstraint(
                condition=Q(state=SessionState.CLOSED, closed_at__isnull=False)
                | ~Q(state=SessionState.CLOSED) & Q(closed_at__isnull=True),
                name="studies_studysession_closed_is_timed",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study}: {self.name}"
