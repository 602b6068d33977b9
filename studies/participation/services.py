"""What a participant may do, in transactions."""

import logging
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Count, Q
from django.utils.timezone import now

from studies.method.plans import PlannedTrial, PlanPair, SideName, count_showable, draw_plan
from studies.models import (
    Pair,
    Participant,
    ParticipantState,
    Response,
    SessionState,
    Study,
    StudySession,
    Trial,
    TrialKind,
)

logger = logging.getLogger(__name__)
# Without the letters and digits that are read for one another.
CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
CODE_LENGTH = 12
# Who started longer ago and has not finished has probably left.
STILL_LIKELY_TO_FINISH = timedelta(hours=2)


class EntryRefused(Exception):
    """A new participant cannot start now. `sentence` says why in the participant's words."""

    sentence = ""


class SessionNotOpen(EntryRefused):
    sentence = "This study has not opened yet. Please come back later, by the same link."


class SessionClosed(EntryRefused):
    sentence = "This study has closed. Thank you for your interest."


class SessionFull(EntryRefused):
    sentence = "This study has all the participants it needs. Thank you for your interest."


class ImagesNotReady(EntryRefused):
    sentence = "The images are still being prepared. Please try again in a few minutes."


class AnswerRefused(Exception):
    """An answer cannot be stored. `sentence` says why in the participant's words."""

    sentence = ""


class TrialOutOfTurn(AnswerRefused):
    sentence = "This comparison is not the one to answer now."


class ConflictingAnswer(AnswerRefused):
    sentence = "This comparison has another answer already; the first one counts."


class NotFinished(Exception):
    """Trials are still unanswered, so there is no completion code yet."""


@dataclass(frozen=True)
class Answer:
    """What the browser reports about one trial, in the columns of a response."""

    chosen_side: str
    response_ms: int
    input_method: str
    shown_at: datetime | None = None
    image_load_ms: int | None = None
    image_decode_ms: int | None = None
    frame_ms: float | None = None
    viewport_width: int | None = None
    viewport_height: int | None = None
    device_pixel_ratio: float | None = None
    displayed_px: int | None = None
    focus_lost: int = 0


def start(session: StudySession, *, token: UUID | None = None) -> Participant:
    """Take a place and draw the whole plan; with a token that has a place already, return that.

    Holds the locks of the study and the session until the plan is stored: the balance counts
    trials of the study, the quota counts participants of the session.
    """
    token = token or uuid4()
    with transaction.atomic():
        # In the order in which opening a session locks them, or each could wait for the other.
        study = Study.objects.select_for_update(no_key=True).get(sessions=session.pk)
        session = StudySession.objects.select_for_update(no_key=True).get(pk=session.pk)
        session.study = study
        if (known := session.participants.filter(token=token).first()) is not None:
            return known
        check_entry(session)
        participant = Participant.objects.create(
            session=session, token=token, plan_seed=secrets.randbits(63), consented_at=now()
        )
        Trial.objects.bulk_create(
            Trial(participant=participant, index=index, kind=planned.kind,
                  pair_id=planned.pair_id, candidate_side=planned.candidate_side)
            for index, planned in enumerate(_draw(study, participant.plan_seed), start=1)
        )
    return participant


def check_entry(session: StudySession) -> None:
    """Refuse where a new participant could not start. Only `start` asks under the lock."""
    if session.state == SessionState.DRAFT:
        raise SessionNotOpen
    if session.state == SessionState.CLOSED:
        raise SessionClosed
    if session.participants.count() >= session.quota:
        raise SessionFull
    if count_showable(_ready_pairs(session.study)) < session.study.main_trials:
        raise ImagesNotReady


def record_response(participant: Participant, trial: Trial, answer: Answer) -> Response:
    """Store the only answer to a trial, committed when this returns.

    The chosen side again is acknowledged again, with what was stored first; another is refused.
    """
    if participant.trials.unanswered().order_by("index").first() == trial:
        # Of two requests at once the database keeps one, and both read that one.
        Response.objects.bulk_create(
            [Response(trial=trial, **asdict(answer))], ignore_conflicts=True
        )
    stored = Response.objects.filter(trial=trial, trial__participant=participant).first()
    if stored is None:
        raise TrialOutOfTurn
    if stored.chosen_side != answer.chosen_side:
        logger.warning(
            "conflicting answer refused",
            extra={"trial": str(trial.public_id), "stored": stored.chosen_side,
                   "refused": answer.chosen_side},
        )
        raise ConflictingAnswer
    return stored


def finish(participant: Participant) -> Participant:
    """Issue the completion code once every trial is answered; again, the same code."""
    if participant.trials.unanswered().exists():
        raise NotFinished
    Participant.objects.filter(pk=participant.pk, state=ParticipantState.ACTIVE).update(
        state=ParticipantState.FINISHED, finished_at=now(), completion_code=_new_code()
    )
    participant.refresh_from_db(fields=["state", "finished_at", "completion_code"])
    return participant


def _ready_pairs(study: Study) -> list[PlanPair]:
    rows = Pair.objects.ready().filter(contrast__study=study)
    return [PlanPair(*row) for row in rows.values_list("pk", "contrast_id", "prompt_id")]


def _draw(study: Study, seed: int) -> list[PlannedTrial]:
    """Draw a plan that balances what is or will likely be answered: who left gives it back."""
    counted = Q(participant__state=ParticipantState.FINISHED) | Q(
        participant__created_at__gte=now() - STILL_LIKELY_TO_FINISH
    )
    rows = (
        Trial.objects.filter(counted, kind=TrialKind.MAIN, pair__contrast__study=study)
        .values_list("pair_id", "candidate_side")
        .annotate(num_shown=Count("pk"))
    )
    shown: dict[tuple[int, SideName], int] = {(pair, side): count for pair, side, count in rows}
    return draw_plan(_ready_pairs(study), shown, practice_trials=study.practice_trials,
                     main_trials=study.main_trials, seed=seed)


def _new_code() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
