"""The pages that a participant meets before and after the trials."""

import functools
import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from studies.models import Participant, ParticipantState, StudySession
from studies.participation import progress, services, texts
from studies.participation.forms import ConsentForm

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
