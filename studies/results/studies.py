"""The studies that have, or may get, results."""

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from studies.models import Participant, ParticipantState, Response, Study, TrialKind


def with_counts(studies: QuerySet[Study]) -> QuerySet[Study]:
    """Add each study's participants and answered main trials, newest study first."""
    people = Participant.objects.filter(session__study=OuterRef("pk"))
    answers = Response.objects.filter(
        trial__kind=TrialKind.MAIN, trial__participant__session__study=OuterRef("pk")
    )
    return studies.annotate(
        num_finished=_counted(people.filter(state=ParticipantState.FINISHED), "session__study"),
        num_active=_counted(people.filter(state=ParticipantState.ACTIVE), "session__study"),
        num_answers=_counted(answers, "trial__participant__session__study"),
    ).order_by("-created_at")


def _counted(rows: QuerySet, group: str) -> Coalesce:
    """Count the rows of one group in a subquery: a join of several would multiply them."""
    counts = rows.order_by().values(group).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), 0)
