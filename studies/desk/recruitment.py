"""How many came to a session and what became of them, and the link by which they come."""

from dataclasses import dataclass

from django.db.models import Count, Q

from studies.models import ParticipantState, StudySession

# How a recruiter writes “the participant's id here”, by the parameter's name. Of others we know
# none; a link in which this was forgotten is refused, rather than taken for one person's.
PLACEHOLDERS = {"PROLIFIC_PID": "{{%PROLIFIC_PID%}}"}
UNKNOWN_PLACEHOLDER = "{ID}"


@dataclass(frozen=True)
class SessionNumbers:
    """Participants by what became of them, and those who declined and never were any."""

    finished: int
    under_way: int
    silent: int
    withdrawn: int
    declined: int

    @property
    def places_taken(self) -> int:
        return self.finished + self.under_way


def session_numbers(session: StudySession) -> SessionNumbers:
    counts = session.participants.aggregate(**{
        state: Count("pk", filter=Q(state=state)) for state in ParticipantState.values
    })
    active = ParticipantState.ACTIVE
    under_way = session.participants.holding_places().filter(state=active).count()
    return SessionNumbers(
        finished=counts[ParticipantState.FINISHED], under_way=under_way,
        # At least none: somebody may have joined between the two counts.
        silent=max(0, counts[active] - under_way),
        withdrawn=counts[ParticipantState.WITHDRAWN], declined=session.declines.count(),
    )


def placeholder_of(session: StudySession) -> str:
    """What stands for a participant's id in the link that the recruiter is given."""
    return PLACEHOLDERS.get(session.id_parameter, UNKNOWN_PLACEHOLDER)


def example_link(session: StudySession, link: str) -> str:
    """The link as the recruiter is given it."""
    if not session.id_parameter:
        return link
    return f"{link}?{session.id_parameter}={placeholder_of(session)}"
