"""The one page on which trials are shown, and what its script asks for."""

import functools
import logging
import uuid
from contextlib import suppress
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from studies.models import Participant, ParticipantState, Task, Trial
from studies.participation import progress, services, texts
from studies.participation.answers import AnswerForm, MalformedAnswer
from studies.participation.places import PlaceLost
from studies.participation.progress import Step
from studies.participation.visits import (
    View,
    elsewhere,
    for_participants,
    page_participant,
    present_participant,
    with_a_place,
)

logger = logging.getLogger(__name__)
LARGEST_ANSWER_BYTES = 4096
WHITE = 255
A_YEAR = 365 * 24 * 3600


class StimulusUnreadable(Exception):
    """The file of a stimulus is gone or broken."""


def with_json_errors(view: View) -> View:
    """Say what is wrong in one sentence, to the script that asked."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Http404:
            return _problem(_("There is no such comparison here."), status=404)
        except MalformedAnswer as error:
            return _problem(str(error), status=400)
        except RequestDataTooBig:
            return _problem(_("The answer is too large."), status=413)
        except StimulusUnreadable:
            return _problem(_("The images cannot be read now. Please try again in a few minutes."),
                            status=503)
        except services.AnswerRefused as refusal:
            # Only what is settled may be forgotten: the rest may still be the answer that counts.
            return _problem(refusal.sentence, status=409, settled=refusal.is_settled)
        except PlaceLost as refusal:
            # Not 409: the answer is worth keeping until a place is free.
            return _problem(refusal.sentence, status=403)

    return wrapped


@require_safe
@for_participants
@with_a_place
def trials(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    participant = page_participant(request, token)
    if (stands := elsewhere(participant, Step.TRIALS)) is not None:
        return stands
    study = participant.session.study
    return render(request, "participation/trials.html",
                  {"participant": participant, "study": study,
                   "question": texts.question(participant),
                   "has_reference": study.task == Task.SIMILARITY})


@require_safe
def surround(request: HttpRequest, level: int) -> HttpResponse:
    """The level of grey, as a stylesheet: the policy forbids styles inside the page."""
    if level > WHITE:
        raise Http404
    return HttpResponse(f":root {{ --level: {level}; }}\n", content_type="text/css",
                        headers={"Cache-Control": f"public, max-age={A_YEAR}, immutable"})


@require_safe
@for_participants
@with_json_errors
def next_trial(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    return JsonResponse(_where_now(_participant(token)))


@require_POST
@for_participants
@with_json_errors
def answer(request: HttpRequest, token: uuid.UUID, trial_id: uuid.UUID) -> HttpResponse:
    """Store one answer; what comes next rides on the acknowledgement."""
    participant = _participant(token)
    trial = get_object_or_404(participant.trials.select_related("pair__contrast"),
                              public_id=trial_id)
    given = AnswerForm.from_body(_body(request)).answer()
    response = services.record_response(participant, trial, given)
    feedback = progress.feedback_on(trial, response.chosen_side,
                                    task=participant.session.study.task)
    return JsonResponse(_where_now(participant) | ({"feedback": feedback} if feedback else {}))


@require_safe
@for_participants
@with_json_errors
def stimulus(request: HttpRequest, token: uuid.UUID, trial_id: uuid.UUID) -> HttpResponse:
    """Send the trial's one file, without a name, a date or a tag that could tell it apart."""
    participant = _participant(token)
    for trial in progress.reachable_trials(participant):
        if trial.public_id == trial_id:
            return HttpResponse(_image_of(trial), content_type="image/webp",
                                headers={"Cache-Control": "private, max-age=3600"})
    raise Http404


def _image_of(trial: Trial) -> bytes:
    try:
        with progress.stimulus_of(trial).image.open("rb") as file:
            return file.read()
    except OSError as error:
        logger.exception("stimulus cannot be read", extra={"pair": str(trial.pair.public_id)})
        raise StimulusUnreadable from error


def _participant(token: uuid.UUID) -> Participant:
    """Who is asking, if there is anything to ask of them: not of those who withdrew.

    Whatever a script asks for, no step before the trials can be skipped.
    """
    participant = present_participant(token)
    if participant.state == ParticipantState.WITHDRAWN:
        raise Http404
    if not progress.has_begun(participant):
        raise services.NotBegun
    return participant


def _problem(sentence: str | Promise, *, status: int, **more: bool) -> JsonResponse:
    return JsonResponse({"error": sentence, **more}, status=status)


def _body(request: HttpRequest) -> bytes:
    """The request's body, if it is JSON and as small as an answer is."""
    # Django has read any form body already, and would refuse to hand it out again.
    if request.content_type != "application/json":
        raise MalformedAnswer(_("The answer must be sent as application/json."))
    if len(request.body) > LARGEST_ANSWER_BYTES:
        raise RequestDataTooBig
    return request.body


def _where_now(participant: Participant) -> dict[str, object]:
    """The current trial and the next, or, after the last, the address that follows."""
    shown = progress.current_and_next(participant)
    if not shown:
        # More than trials may be asked for, but who needs nothing more is finished now.
        with suppress(services.NotFinished):
            services.finish(participant)
        return {"trial": None, "upcoming": None,
                "done": reverse("done", kwargs={"token": participant.token})}
    trial, *rest = [_described(participant, each) for each in shown]
    return {"trial": trial, "upcoming": rest[0] if rest else None, "done": None}


def _described(participant: Participant, shown: progress.Shown) -> dict[str, object]:
    keys = {"token": participant.token, "trial_id": shown.trial.public_id}
    return {
        "id": str(shown.trial.public_id),
        "kind": "practice" if shown.is_practice else "main",
        "index": shown.index,
        "total": shown.total,
        "task": participant.session.study.task,
        "stimulus": reverse("stimulus", kwargs=keys),
        "answer": reverse("answer", kwargs=keys),
        "side_width": shown.stimulus.side_width,
        "side_height": shown.stimulus.side_height,
    }
