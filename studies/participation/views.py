"""The pages that a participant meets before and after the trials.

Each page of the way is shown to who stands there. Anybody else is led to where they stand, so that
the back button, an old address and a form sent twice are harmless.
"""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from studies.models import QuestionMoment, Task, withdraw
from studies.participation import progress, questions, recruiters, services, texts
from studies.participation.forms import ScreenForm
from studies.participation.progress import Step
from studies.participation.screen import PHONE_BELOW_PX, problem_of
from studies.participation.visits import (
    elsewhere,
    find_participant,
    for_participants,
    page_participant,
    stay,
    with_a_place,
)


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@with_a_place
def resume(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Lead to where the participant stands; a POST also takes a free place, if theirs lapsed."""
    return redirect(progress.where_now(page_participant(request, token)), token=token)


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@with_a_place
def answer_questions(request: HttpRequest, token: uuid.UUID, moment: str) -> HttpResponse:
    """The experimenter's own questions, before or after the trials."""
    is_sent = request.method == "POST"
    participant = find_participant(token) if is_sent else page_participant(request, token)
    if (stands := elsewhere(participant, Step(f"questions_{moment}"))) is not None:
        return stands
    when = QuestionMoment(moment)
    form = questions.QuestionsForm(
        request.POST if is_sent else None,
        questions=questions.asked_of(participant, when), language=participant.language,
    )
    if form.is_valid():
        services.record_answers(participant, when, form.answers())
    if is_sent:  # Only now: what was written is kept even where the place is gone.
        stay(participant)
    if form.is_valid():
        return redirect(progress.where_now(participant), token=token)
    return render(request, "participation/questions.html",
                  {"participant": participant, "form": form, "is_after": moment == "after"},
                  status=400 if form.is_bound else 200)


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@with_a_place
def screen(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Check that the trials can be shown in this window."""
    participant = page_participant(request, token)
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
    participant = page_participant(request, token)
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
def done(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Thank the participant, and show the code."""
    participant = page_participant(request, token)
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
