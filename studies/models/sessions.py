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
    release_minutes = models.PositiveSmallIntegerField(
        default=120, help_text="A participant who is silent for so long gives the place back."
    )
    id_parameter = models.CharField(
        max_length=60, blank=True,
        help_text="The link's parameter with which the recruiter names a participant, as "
        "PROLIFIC_PID. Blank for an open link.",
    )
    return_url = models.URLField(
        max_length=500, blank=True,
        help_text="Where participants go at the end. “{code}” stands for the completion code.",
    )
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
                condition=Q(release_minutes__gte=1), name="studies_studysession_release_positive",
                violation_error_message="A place is kept for at least 1 minute.",
            ),
            models.CheckConstraint(
                condition=Q(id_parameter="") | Q(id_parameter__regex=r"^[A-Za-z][A-Za-z0-9_.-]*$"),
                name="studies_studysession_id_parameter_plain",
                violation_error_message="A parameter's name begins with a letter and has only "
                "letters, digits, “_”, “.” and “-”.",
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


class Decline(models.Model):
    """Somebody read what the study asks for and said no. No more is known of them."""

    session = models.ForeignKey(StudySession, on_delete=models.PROTECT, related_name="declines")
    # As in a consent: the same page sent twice is one decline.
    attempt = models.UUIDField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"decline {self.pk}"
