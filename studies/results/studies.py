"""The studies that have, or may get, results."""

from django.db.models import OuterRef, QuerySet

from studies.models import Participant, ParticipantState, Response, Study, TrialKind
from studies.models.counting import counted


def with_counts(studies: QuerySet[Study]) -> QuerySet[Study]:
    """Add each study's participants and answered main trials, newest study first."""
    people = Participant.objects.filter(session__study=OuterRef("pk"))
    answers = Response.objects.filter(
        trial__kind=TrialKind.MAIN, trial__participant__session__study=OuterRef("pk")
    )
    return studies.annotate(
        num_finished=counted(people.filter(state=ParticipantState.FINISHED), "session__study"),
        num_active=counted(people.filter(state=ParticipantState.ACTIVE), "session__study"),
        num_answers=counted(answers, "trial__participant__session__study"),
    ).order_by("-created_at")
