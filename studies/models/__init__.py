"""The design of a study, its runs, and what people answered."""

from studies.models.designs import Contrast, Language, Study, StudyPrompt, StudyState, Task
from studies.models.pairs import Pair, Stimulus
from studies.models.participants import Participant, ParticipantState, RecruiterIdentity
from studies.models.questions import (
    Question,
    QuestionAnswer,
    QuestionKind,
    QuestionMoment,
    QuestionTranslation,
)
from studies.models.responses import InputMethod, Response
from studies.models.sessions import Decline, SessionState, StudySession
from studies.models.sides import Side
from studies.models.translations import StudyTranslation
from studies.models.trials import Trial, TrialKind
from studies.models.withdrawal import withdraw

__all__ = [
    "Contrast",
    "Decline",
    "InputMethod",
    "Language",
    "Pair",
    "Participant",
    "ParticipantState",
    "Question",
    "QuestionAnswer",
    "QuestionKind",
    "QuestionMoment",
    "QuestionTranslation",
    "RecruiterIdentity",
    "Response",
    "SessionState",
    "Side",
    "Stimulus",
    "Study",
    "StudyPrompt",
    "StudySession",
    "StudyState",
    "StudyTranslation",
    "Task",
    "Trial",
    "TrialKind",
    "withdraw",
]
