"""Erasing what a participant said. Participants ask for it, and experimenters on their behalf."""

from django.db import connection, transaction
from django.utils.timezone import now

from studies.models.participants import Participant, ParticipantState, RecruiterIdentity
from studies.models.questions import QuestionAnswer
from studies.models.responses import Response
from studies.models.trials import Trial

ERASED: dict[str, object] = {
    "completion_code": "", "finished_at": None, "screen": {}, "questions_before_at": None,
    "screen_checked_at": None, "instructed_at": None, "questions_after_at": None,
}


@transaction.atomic
def withdraw(participant: Participant) -> Participant:
    """Erase what the participant said and who they are to the recruiter; again, nothing happens.

    The row stays, so that withdrawals can be counted and the same link says what became of it.
    """
    participant.refresh_from_db(from_queryset=Participant.objects.select_for_update())
    if participant.state == ParticipantState.WITHDRAWN:
        return participant
    trials = Trial.objects.filter(participant=participant)
    # An answer under way is stored before this lock, and erased below, or finds no trial after it.
    list(trials.select_for_update().values_list("pk"))
    _erase_answers(participant)
    trials.exclude(repeat_of=None).delete()  # First, as each protects the trial that it repeats.
    trials.delete()
    RecruiterIdentity.objects.filter(participant=participant).delete()
    for name, value in ERASED.items():
        setattr(participant, name, value)
    participant.state, participant.withdrawn_at = ParticipantState.WITHDRAWN, now()
    participant.save(update_fields=["state", "withdrawn_at", *ERASED])
    return participant


def _erase_answers(participant: Participant) -> None:
    """Delete what the database lets nobody delete otherwise."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL budgetstudy.withdrawal = 'on'")
        Response.objects.filter(trial__participant=participant).delete()
        QuestionAnswer.objects.filter(participant=participant).delete()
        cursor.execute("SET LOCAL budgetstudy.withdrawal = 'off'")
