"""The pages and the two addresses of JSON that a participant meets.

Each page of the way is shown to who stands there. Anybody else is led to where they stand, so that
the back button, an old address and a form sent twice are harmless.
"""

import contextlib
import functools
import uuid
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from studies.models import Participant, QuestionMoment, Task, withdraw
from studies.participation import progress, questions, recruiters, services, texts
from studies.participation.forms import AnswerForm, MalformedAnswer, ScreenForm
from studies.participation.places import PlaceLost
from studies.participation.progress import Step
from studies.participation.screen import PHONE_BELOW_PX, problem_of
from studies.participation.visits import (
    View,
    elsewhere,
    find_participant,
    for_participants,
    present_participant,
    with_a_place,
)

LARGEST_ANSWER_BYTES = 4096


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
        except services.AnswerRefused as refusal:
            return _problem(refusal.sentence, status=409)
        except PlaceLost as refusal:
            # Not 409: the answer is worth keeping until a place is free.
            return _problem(refusal.sentence, status=403)

    return wrapped


@require_safe
@for_participants
@with_a_place
def resume(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Lead to where the participant stands."""
    return redirect(progress.where_now(present_participant(token)), token=token)


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@with_a_place
def answer_questions(request: HttpRequest, token: uuid.UUID, moment: str) -> HttpResponse:
    """The experimenter's own questions, before or after the trials."""
    participant = present_participant(token)
    if (stands := elsewhere(participant, Step(f"questions_{moment}"))) is not None:
        return stands
    when = QuestionMoment(moment)
    form = questions.QuestionsForm(
        request.POST if request.method == "POST" else None,
        questions=questions.asked_of(participant, when), language=participant.language,
    )
    if form.is_valid():
        services.record_answers(participant, when, form.answers())
        return redirect(progress.where_now(participant), token=token)
    return render(request, "participation/questions.html",
                  {"participant": participant, "form": form, "is_after": moment == "after"},
                  status=400 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@with_a_place
def screen(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Check that the trials can be shown in this window."""
    participant = present_participant(token)
    if (stands := elsewhere(participant, Step.SCREEN)) is not None:
        return stands
    study = participant.session.study
    form = ScreenForm(request.POST if request.method == "POST" else None)
    problem = ""
    if form.is_bound:
        problem = problem_of(study, form.cleaned_data) if form.is_valid() else "unmeasured"
        if not problem:
            services.pass_screen_check(participant, form.cleaned_data)
            return redirect(progress.where_now(participant), token=token)
    own_link = request.build_absolute_uri(reverse("resume", args=[token]))
    return render(request, "participation/screen.html",
                  {"participant": participant, "study": study, "form": form, "problem": problem,
                   "phone_below_px": PHONE_BELOW_PX, "own_link": own_link},
                  status=400 if problem else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@with_a_place
def instructions(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    participant = present_participant(token)
    if (stands := elsewhere(participant, Step.INSTRUCTIONS)) is not None:
        return stands
    if request.method == "POST":
        services.note_instructed(participant)
        return redirect(progress.where_now(participant), token=token)
    study = participant.session.study
    written = study.texts(participant.language)
    return render(request, "participation/instructions.html",
                  {"participant": participant, "question": written["question"],
                   "text": texts.render(written["instructions"]),
                   "counts": progress.count_trials(participant),
                   "has_reference": study.task == Task.SIMILARITY})


@require_safe
@for_participants
@with_a_place
def trials(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """The one page on which every trial is shown."""
    participant = present_participant(token)
    if (stands := elsewhere(participant, Step.TRIALS)) is not None:
        return stands
    study = participant.session.study
    return render(request, "participation/trials.html",
                  {"participant": participant, "study": study,
                   "has_reference": study.task == Task.SIMILARITY})


@require_safe
@for_participants
@with_json_errors
def next_trial(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    return _where_now(present_participant(token))


@require_POST
@for_participants
@with_json_errors
def answer(request: HttpRequest, token: uuid.UUID, trial_id: uuid.UUID) -> HttpResponse:
    """Store one answer; what comes next rides on the acknowledgement."""
    participant = present_participant(token)
    trial = get_object_or_404(participant.trials, public_id=trial_id)
    services.record_response(participant, trial, AnswerForm.from_body(_body(request)).answer())
    return _where_now(participant)


@require_safe
@for_participants
@with_json_errors
def stimulus(request: HttpRequest, token: uuid.UUID, trial_id: uuid.UUID) -> HttpResponse:
    """Send the trial's one file, without a name, a date or a tag that could tell it apart."""
    participant = present_participant(token)
    for trial in progress.reachable_trials(participant):
        if trial.public_id == trial_id:
            with progress.stimulus_of(trial).image.open("rb") as file:
                content = file.read()
            return HttpResponse(content, content_type="image/webp",
                                headers={"Cache-Control": "private, max-age=3600"})
    raise Http404


@require_safe
@for_participants
@with_a_place
def done(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Thank the participant, and show the code."""
    participant = present_participant(token)
    if (stands := elsewhere(participant, Step.DONE)) is not None:
        return stands
    services.finish(participant)
    study = participant.session.study
    debrief = study.texts(participant.language)["debrief"] if study.has_debrief else ""
    return render(request, "participation/done.html",
                  {"participant": participant, "text": texts.render(debrief),
                   "return_address": recruiters.return_address(participant)})


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
def withdraw_participant(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Ask once, then erase. Open at any time, also to who has lost the place."""
    participant = find_participant(token)
    if request.method == "POST":
        withdraw(participant)
    if (stands := elsewhere(participant, Step.WITHDRAWN)) is None:
        return redirect(Step.WITHDRAWN, token=token)
    return render(request, "participation/withdraw.html",
                  {"participant": participant, "way_back": stands.url})


@require_safe
@for_participants
def withdrawn(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    if (stands := elsewhere(find_participant(token), Step.WITHDRAWN)) is not None:
        return stands
    return render(request, "participation/withdrawn.html")


def _problem(sentence: str | Promise, *, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)


def _body(request: HttpRequest) -> bytes:
    """The request's body, if it is JSON and as small as an answer is."""
    # Django has read any form body already, and would refuse to hand it out again.
    if request.content_type != "application/json":
        raise MalformedAnswer(_("The answer must be sent as application/json."))
    if len(request.body) > LARGEST_ANSWER_BYTES:
        raise RequestDataTooBig
    return request.body


def _where_now(participant: Participant) -> JsonResponse:
    """The current trial and the next, or, after the last, the address of the last page."""
    shown = progress.current_and_next(participant)
    if not shown:
        with contextlib.suppress(services.NotFinished):  # Questions may follow the last trial.
            services.finish(participant)
        return JsonResponse({"trial": None, "upcoming": None,
                             "done": reverse("done", kwargs={"token": participant.token})})
    trial, *rest = [_described(participant, each) for each in shown]
    return JsonResponse({"trial": trial, "upcoming": rest[0] if rest else None, "done": None})


def _described(participant: Participant, shown: progress.Shown) -> dict[str, object]:
    keys = {"token": participant.token, "trial_id": shown.trial.public_id}
    return {
        "id": str(shown.trial.public_id),
        "kind": "practice" if shown.is_practice else "main",
        "index": shown.index,
        "total": shown.total,
        "task": participant.session.study.task,
        "question": participant.session.study.question,
        "stimulus": reverse("stimulus", kwargs=keys),
        "answer": reverse("answer", kwargs=keys),
        "side_width": shown.stimulus.side_width,
        "side_height": shown.stimulus.side_height,
    }
