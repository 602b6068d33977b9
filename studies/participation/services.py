"""What a participant may do, in transactions."""

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from studies.models import (
    Decline,
    Participant,
    ParticipantState,
    QuestionAnswer,
    QuestionMoment,
    RecruiterIdentity,
    Response,
    SessionState,
    Study,
    StudySession,
    Trial,
)
from studies.participation import planning, progress, recruiters, texts

logger = logging.getLogger(__name__)
# Without the letters and digits that are read for one another.
CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
CODE_LENGTH = 12


class EntryRefused(Exception):
    """A new participant cannot start now. `sentence` says why in the participant's words."""

    sentence: str | Promise = ""


class SessionNotOpen(EntryRefused):
    sentence = _("This study has not opened yet. Please come back later, by the same link.")


class SessionClosed(EntryRefused):
    sentence = _("This study has closed. Thank you for your interest.")


class SessionFull(EntryRefused):
    sentence = _("This study has all the participants it needs. Thank you for your interest.")


class ImagesNotReady(EntryRefused):
    sentence = _("The images are still being prepared. Please try again in a few minutes.")


class AnswerRefused(Exception):
    """An answer cannot be stored. `sentence` says why in the participant's words.

    It is settled where another answer to the same trial is stored.
    """

    sentence: str | Promise = ""
    is_settled = False


class NotBegun(AnswerRefused):
    sentence = _("The comparisons have not begun yet. Please go through the pages before them.")


class TrialOutOfTurn(AnswerRefused):
    sentence = _("This comparison is not the one to answer now.")


class ConflictingAnswer(AnswerRefused):
    is_settled = True
    sentence = _("This comparison has another answer already; the first one counts.")


class NotFinished(Exception):
    """A step is still ahead, so there is no completion code yet."""


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


def start(session: StudySession, *, token: UUID | None = None, language: str = "",
          external_id: str = "") -> Participant:
    """Take a place and draw the whole plan; who has a place already, by token or id, gets that.

    `external_id` is the recruiter's, and then decides the token. Holds the locks of the study and
    the session until the plan is stored: the balance counts trials of the study, the quota counts
    participants of the session.
    """
    token = recruiters.token_for(session, external_id) if external_id else token or uuid4()
    # Before the locks, which everybody else waits for.
    ready = planning.ready_pairs(session.study)
    with transaction.atomic():
        # In the order in which opening a session locks them, or each could wait for the other.
        study = Study.objects.select_for_update(no_key=True).get(sessions=session.pk)
        session = StudySession.objects.select_for_update(no_key=True).get(pk=session.pk)
        session.study = study
        if (known := _known(session, token, external_id)) is not None:
            return known
        check_entry(session, ready=ready)
        participant = Participant.objects.create(
            session=session, token=token, plan_seed=secrets.randbits(63),
            **_agreement(study, language or study.language),
        )
        if external_id:
            RecruiterIdentity.objects.create(
                participant=participant, session=session, external_id=external_id
            )
        planning.plan_trials(participant, study, ready=ready)
    return participant


def _known(session: StudySession, token: UUID, external_id: str) -> Participant | None:
    if external_id:
        return recruiters.find(session, external_id)
    return session.participants.filter(token=token).first()


def _agreement(study: Study, language: str) -> dict[str, Any]:
    """What is kept of a consent: when, in which language, and to which text."""
    if not study.has_consent:
        return {"language": language}
    return {"language": language, "consented_at": now(),
            "consent_sha256": texts.consent_version(study, language)}


def decline(session: StudySession, *, attempt: UUID) -> None:
    """Count somebody who read what the study asks for and said no; the same page counts once."""
    Decline.objects.bulk_create([Decline(session=session, attempt=attempt)], ignore_conflicts=True)


def check_entry(session: StudySession, *, ready: planning.ReadyPairs | None = None) -> None:
    """Refuse where a new participant could not start. Only `start` asks under the lock."""
    if session.state == SessionState.DRAFT:
        raise SessionNotOpen
    if session.state == SessionState.CLOSED:
        raise SessionClosed
    if session.participants.holding_places().count() >= session.quota:
        raise SessionFull
    if not planning.are_enough(ready or planning.ready_pairs(session.study), session.study):
        raise ImagesNotReady


def record_response(participant: Participant, trial: Trial, answer: Answer) -> Response:
    """Store the only answer to a trial, committed when this returns.

    The chosen side again is acknowledged again, with what was stored first; another is refused.
    """
    if trial in progress.reachable_trials(participant)[:1]:
        # One statement, which commits by itself. Of two requests at once the database refuses one,
        # which reads what the other stored.
        with suppress(IntegrityError):
            return Response.objects.create(trial=trial, **asdict(answer))
    stored = Response.objects.filter(trial=trial, trial__participant=participant).first()
    if stored is None:
        logger.warning("answer out of turn refused", extra={"trial": str(trial.public_id)})
        raise TrialOutOfTurn
    if stored.chosen_side != answer.chosen_side:
        logger.warning(
            "conflicting answer refused",
            extra={"trial": str(trial.public_id), "stored": stored.chosen_side,
                   "refused": answer.chosen_side},
        )
        raise ConflictingAnswer
    return stored


def record_answers(
    participant: Participant, moment: QuestionMoment, answers: Mapping[int, str]
) -> None:
    """Store what was said to the questions of a moment, by their keys; only the first time."""
    with transaction.atomic():
        if not _pass(participant, f"questions_{moment}_at"):
            return
        QuestionAnswer.objects.bulk_create(
            QuestionAnswer(participant=participant, question_id=question, value=value)
            for question, value in answers.items()
        )


def pass_screen_check(participant: Participant, screen: Mapping[str, object]) -> None:
    _pass(participant, "screen_checked_at", screen=dict(screen))


def note_instructed(participant: Participant) -> None:
    _pass(participant, "instructed_at")


def _pass(participant: Participant, step: str, **found: object) -> bool:
    """Put a step behind a participant who is under way; False where it was already.

    Of two requests at once, the second waits for the first and changes nothing.
    """
    passed = Participant.objects.filter(
        pk=participant.pk, state=ParticipantState.ACTIVE, **{step: None}
    ).update(**{step: now()}, **found)
    participant.refresh_from_db(fields=["state", step, *found])
    return passed == 1


def finish(participant: Participant) -> Participant:
    """Issue the completion code once every step is behind the participant; again, the same."""
    if not progress.has_begun(participant) or progress.what_is_left(participant) is not None:
        raise NotFinished
    Participant.objects.filter(pk=participant.pk, state=ParticipantState.ACTIVE).update(
        state=ParticipantState.FINISHED, finished_at=now(), completion_code=_new_code()
    )
    participant.refresh_from_db(fields=["state", "finished_at", "completion_code"])
    return participant


def _new_code() -> str:
    return "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
