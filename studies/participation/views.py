"""The pages and the two addresses of JSON that a participant meets."""

import functools
import uuid
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from studies.models import Participant, ParticipantState, StudySession, Task
from studies.participation import progress, services, texts
from studies.participation.forms import AnswerForm, ConsentForm, MalformedAnswer

LARGEST_ANSWER_BYTES = 4096
# The browser's session remembers which participant it is, per study session.
REMEMBERED = "participants"

View = Callable[..., HttpResponse]


def for_participants(view: View) -> View:
    """Keep an address that holds a secret out of caches, search engines and other sites."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response.headers.setdefault("Cache-Control", "private, no-store")
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        # Not no-referrer: browsers then send "Origin: null", which the CSRF check refuses.
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    return wrapped


def with_json_errors(view: View) -> View:
    """Say what is wrong in one sentence, to the script that asked."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except Http404:
            return _problem("There is no such comparison here.", status=404)
        except MalformedAnswer as error:
            return _problem(str(error), status=400)
        except RequestDataTooBig:
            return _problem("The answer is too large.", status=413)
        except services.AnswerRefused as refusal:
            return _problem(refusal.sentence, status=409)

    return wrapped


@require_safe
@for_participants
def landing(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Welcome a visitor. Takes no place: previews and prefetchers open links too."""
    session = _session(session_id)
    if (participant := _remembered(request, session)) is not None:
        return redirect("resume", token=participant.token)
    try:
        services.check_entry(session)
    except services.EntryRefused as refusal:
        return _refused(request, refusal)
    return render(request, "participation/landing.html",
                  {"session": session, "text": texts.welcome(session.study)})


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
def consent(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    """Ask for agreement; the POST that gives it takes a place."""
    session = _session(session_id)
    if (participant := _remembered(request, session)) is not None:
        return redirect("resume", token=participant.token)
    form = ConsentForm(request.POST if request.method == "POST" else None)
    try:
        if form.is_valid():
            # Scoped to the session: nobody can name another session's participant.
            token = uuid.uuid5(session.public_id, str(form.cleaned_data["attempt"]))
            participant = services.start(session, token=token)
            _remember(request, participant)
            return redirect("instructions", token=participant.token)
        services.check_entry(session)
    except services.EntryRefused as refusal:
        return _refused(request, refusal)
    attempt = form.cleaned_data.get("attempt") if form.is_bound else None
    return render(request, "participation/consent.html",
                  {"form": form, "attempt": attempt or uuid.uuid4(),
                   "text": texts.consent(session.study)},
                  status=400 if form.is_bound else 200)


@require_safe
@for_participants
def resume(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """Lead to where the participant was."""
    participant = _participant(token)
    if participant.state == ParticipantState.FINISHED:
        return redirect("done", token=token)
    return redirect("trials" if progress.has_answered(participant) else "instructions",
                    token=token)


@require_safe
@for_participants
def instructions(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    participant = _participant(token)
    study = participant.session.study
    return render(request, "participation/instructions.html",
                  {"participant": participant, "study": study,
                   "text": texts.instructions(study)})


@require_safe
@for_participants
def trials(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """The one page on which every trial is shown."""
    participant = _participant(token)
    if participant.state == ParticipantState.FINISHED:
        return redirect("done", token=token)
    study = participant.session.study
    return render(request, "participation/trials.html",
                  {"participant": participant, "study": study,
                   "has_reference": study.task == Task.SIMILARITY})


@require_safe
@for_participants
@with_json_errors
def next_trial(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    return _where_now(_participant(token))


@require_POST
@for_participants
@with_json_errors
def answer(request: HttpRequest, token: uuid.UUID, trial_id: uuid.UUID) -> HttpResponse:
    """Store one answer; what comes next rides on the acknowledgement."""
    participant = _participant(token)
    trial = get_object_or_404(participant.trials, public_id=trial_id)
    services.record_response(participant, trial, AnswerForm.from_body(_body(request)).answer())
    return _where_now(participant)


@require_safe
@for_participants
@with_json_errors
def stimulus(request: HttpRequest, token: uuid.UUID, trial_id: uuid.UUID) -> HttpResponse:
    """Send the trial's one file, without a name, a date or a tag that could tell it apart."""
    participant = _participant(token)
    for trial in progress.reachable_trials(participant):
        if trial.public_id == trial_id:
            with progress.stimulus_of(trial).image.open("rb") as file:
                content = file.read()
            return HttpResponse(content, content_type="image/webp",
                                headers={"Cache-Control": "private, max-age=3600"})
    raise Http404


@require_safe
@for_participants
def done(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    try:
        participant = services.finish(_participant(token))
    except services.NotFinished:
        return redirect("resume", token=token)
    return render(request, "participation/done.html",
                  {"participant": participant, "text": texts.debrief(participant.session.study)})


def _session(session_id: uuid.UUID) -> StudySession:
    return get_object_or_404(StudySession.objects.select_related("study"), public_id=session_id)


def _participant(token: uuid.UUID) -> Participant:
    return get_object_or_404(Participant.objects.select_related("session__study"), token=token)


def _remembered(request: HttpRequest, session: StudySession) -> Participant | None:
    token = request.session.get(REMEMBERED, {}).get(str(session.public_id))
    return session.participants.filter(token=token).first() if token else None


def _remember(request: HttpRequest, participant: Participant) -> None:
    tokens = request.session.get(REMEMBERED, {})
    request.session[REMEMBERED] = {
        **tokens, str(participant.session.public_id): str(participant.token)
    }


def _refused(request: HttpRequest, refusal: services.EntryRefused) -> HttpResponse:
    return render(request, "participation/refused.html", {"sentence": refusal.sentence},
                  status=403)


def _problem(sentence: str, *, status: int) -> JsonResponse:
    return JsonResponse({"error": sentence}, status=status)


def _body(request: HttpRequest) -> bytes:
    """The request's body, if it is JSON and as small as an answer is."""
    # Django has read any form body already, and would refuse to hand it out again.
    if request.content_type != "application/json":
        raise MalformedAnswer("The answer must be sent as application/json.")
    if len(request.body) > LARGEST_ANSWER_BYTES:
        raise RequestDataTooBig
    return request.body


def _where_now(participant: Participant) -> JsonResponse:
    """The current trial and the next, or, after the last, the address of the last page."""
    shown = progress.current_and_next(participant)
    if not shown:
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
