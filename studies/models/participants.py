import uuid

from django.db import models
from django.db.models import Q

from studies.models.sessions import StudySession


class ParticipantState(models.TextChoices):
    ACTIVE = "active", "taking part"
    FINISHED = "finished", "finished"


class Participant(models.Model):
    """One person's pass through a study session.

    `public_id` goes into exports; `token` is the secret in the participant's own addresses.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    token = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    session = models.ForeignKey(
        StudySession, on_delete=models.PROTECT, related_name="participants"
    )
    state = models.CharField(
        max_length=8, choices=ParticipantState, default=ParticipantState.ACTIVE
    )
    plan_seed = models.PositiveBigIntegerField(help_text="Draws the whole trial list.")
    completion_code = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    consented_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ParticipantState.values),
                name="studies_participant_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state=ParticipantState.FINISHED, finished_at__isnull=False)
                & ~Q(completion_code="")
                | Q(state=ParticipantState.ACTIVE, finished_at__isnull=True, completion_code=""),
                name="studies_participant_code_only_when_finished",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)
