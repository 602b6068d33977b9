"""The design of a study, its runs, and what people answered."""

from studies.models.designs import Contrast, Study, StudyPrompt, StudyState, Task
from studies.models.pairs import Pair, Stimulus
from studies.models.participants import Participant, ParticipantState
from studies.models.responses import InputMethod, Response
from studies.models.sessions import SessionState, StudySession
from studies.models.sides import Side
from studies.models.trials import Trial, TrialKind

__all__ = [
    "Contrast",
    "InputMethod",
    "Pair",
    "Participant",
    "ParticipantState",
    "Response",
    "SessionState",
    "Side",
    "Stimulus",
    "Study",
    "StudyPrompt",
    "StudySession",
    "StudyState",
    "Task",
    "Trial",
    "TrialKind",
]
