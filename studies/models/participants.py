import uuid
from datetime import timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Now
from django.utils.timezone import now

from studies.models.designs import Language
from studies.models.sessions import StudySession


class ParticipantState(models.TextChoices):
    ACTIVE = "active", "taking part"
    FINISHED = "finished", "finished"
    WITHDRAWN = "withdrawn", "withdrawn"


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def holding_places(self) -> Self:
        """Those who count against the quota and in the balance: finished, or seen lately.

        Who is silent for longer gives the place back, and must ask for one again.
        """
        kept = F("session__release_minutes") * Value(timedelta(minutes=1))
        is_around = Q(last_seen_at__gte=Now() - kept)
        return self.filter(
            Q(state=ParticipantState.FINISHED) | Q(state=ParticipantState.ACTIVE) & is_around
        )


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
        max_length=9, choices=ParticipantState, default=ParticipantState.ACTIVE
    )
    plan_seed = models.PositiveBigIntegerField(help_text="Draws the whole trial list.")
    completion_code = models.CharField(max_length=20, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    language = models.CharField(max_length=10, choices=Language, default=Language.ENGLISH)
    # Null where the study asks for none. The hash is of the text that was agreed to, as shown.
    consented_at = models.DateTimeField(null=True)
    consent_sha256 = models.CharField(max_length=64, blank=True)
    last_seen_at = models.DateTimeField(default=now)
    # Each step of the way before the trials, once it is behind the participant.
    questions_before_at = models.DateTimeField(null=True)
    screen_checked_at = models.DateTimeField(null=True)
    instructed_at = models.DateTimeField(null=True)
    questions_after_at = models.DateTimeField(null=True)
    screen = models.JSONField(default=dict, help_text="What the screen check found.")
    finished_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=ParticipantState.values),
                name="studies_participant_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state=ParticipantState.FINISHED, finished_at__isnull=False)
                & ~Q(completion_code="")
                | ~Q(state=ParticipantState.FINISHED) & Q(finished_at=None, completion_code=""),
                name="studies_participant_code_only_when_finished",
            ),
            models.CheckConstraint(
                condition=Q(state=ParticipantState.WITHDRAWN, withdrawn_at__isnull=False)
                | ~Q(state=ParticipantState.WITHDRAWN) & Q(withdrawn_at=None),
                name="studies_participant_withdrawal_is_timed",
            ),
            models.CheckConstraint(
                condition=Q(language__in=Language.values),
                name="studies_participant_language_known",
            ),
            models.CheckConstraint(
                condition=Q(consent_sha256="") | Q(consent_sha256__regex=r"^[0-9a-f]{64}$"),
                name="studies_participant_consent_sha256_hex",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)


class RecruiterIdentity(models.Model):
    """Who a participant is to the recruiter. Kept apart: no export of a study reads it."""

    participant = models.OneToOneField(
        Participant, on_delete=models.PROTECT, related_name="identity"
    )
    session = models.ForeignKey(StudySession, on_delete=models.PROTECT, related_name="identities")
    external_id = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "recruiter identities"
        constraints = [
            models.UniqueConstraint(
                fields=["session", "external_id"], name="studies_recruiteridentity_once"
            ),
            models.CheckConstraint(
                condition=~Q(external_id=""), name="studies_recruiteridentity_not_blank"
            ),
        ]

    def __str__(self) -> str:
        return f"identity {self.pk}"
