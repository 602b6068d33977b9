"""The pages before there is a participant: landing, consent, and the way out."""

import functools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from studies.models import Language, Participant, StudySession
from studies.participation import languages, progress, recruiters, services, texts
from studies.participation.forms import ConsentForm, VisitForm
from studies.participation.visits import (
    View,
    for_participants,
    refused,
    remember,
    remembered,
)

BROKEN_LINK = _("This link does not say who sent you here. Please start again from the page that "
                "sent you, by the link that stands there. If this page comes back, tell whoever "
                "runs that page.")


@dataclass(frozen=True)
class Visit:
    """Somebody at the door of a session: in which language, and from which recruiter."""

    session: StudySession
    language: Language
    languages: list[Language]
    external_id: str = ""

    def query(self, language: Language | None = None) -> str:
        """What the next page's address must say again."""
        said: dict[str, str] = {languages.PARAMETER: language or self.language}
        if self.external_id:
            said[self.session.id_parameter] = self.external_id
        return urlencode(said)

    def address(self, name: str) -> str:
        return f"{reverse(name, args=[self.session.public_id])}?{self.query()}"

    def switches(self) -> list[tuple[Language, str]]:
        return [(each, self.query(each)) for each in self.languages]

    def identity(self) -> str:
        return recruiters.sealed(self.session, self.external_id)


def at_the_door(view: View) -> View:
    """Give the view a Visit; who is in already is led on, and who cannot come in is told why."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
        sessions = StudySession.objects.select_related("study")
        session = get_object_or_404(sessions, public_id=session_id)
        offered = languages.offered(session.study)
        language = languages.choose(request, offered)
        translation.activate(language)
        try:
            external_id, participant = _identify(request, session)
            if participant is not None:
                return redirect("resume", token=participant.token)
            return view(request, Visit(session, language, offered, external_id))
        except recruiters.BrokenLink:
            return refused(request, BROKEN_LINK, status=400)
        except services.EntryRefused as refusal:
            return refused(request, refusal.sentence, status=403)

    return wrapped


@require_safe
@for_participants
@at_the_door
def landing(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Welcome a visitor. Takes no place: previews and prefetchers open links too."""
    services.check_entry(visit.session)
    study = visit.session.study
    if study.has_consent and not study.has_landing:
        return redirect(visit.address("consent"))
    welcome = study.texts(visit.language)["welcome"] if study.has_landing else ""
    return _page(request, "landing", visit, {"text": texts.render(welcome)})


@require_http_methods(["GET", "HEAD", "POST"])
@for_participants
@at_the_door
def consent(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Ask for agreement; the POST that gives it takes a place."""
    study = visit.session.study
    form = ConsentForm(request.POST if request.method == "POST" else None,
                       study=study, language=visit.language)
    if form.is_valid():
        return _start(request, visit, form.cleaned_data["attempt"])
    if not study.has_consent:
        return redirect(visit.address("landing"))
    services.check_entry(visit.session)
    context = {"form": form, "text": texts.render(study.texts(visit.language)["consent"])}
    # After an error the same attempt goes on.
    if form.is_bound and "attempt" in form.cleaned_data:
        context["attempt"] = form.cleaned_data["attempt"]
    return _page(request, "consent", visit, context, status=400 if form.is_bound else 200)


@require_POST
@for_participants
@at_the_door
def decline(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Count a no, once for each page that was shown."""
    form = VisitForm(request.POST)
    if form.is_valid():
        services.decline(visit.session, attempt=form.cleaned_data["attempt"])
    address = reverse("declined", args=[visit.session.public_id])
    return redirect(f"{address}?{urlencode({languages.PARAMETER: visit.language})}")


@require_safe
@for_participants
def declined(request: HttpRequest, session_id: uuid.UUID) -> HttpResponse:
    session = get_object_or_404(StudySession.objects.select_related("study"), public_id=session_id)
    translation.activate(languages.choose(request, languages.offered(session.study)))
    return render(request, "participation/declined.html")


def _start(request: HttpRequest, visit: Visit, attempt: uuid.UUID) -> HttpResponse:
    session = visit.session
    participant = services.start(
        session,
        # Scoped to the session: nobody can name another session's participant.
        token=uuid.uuid5(session.public_id, str(attempt)),
        language=visit.language, external_id=visit.external_id,
    )
    remember(request, participant)
    return redirect(progress.where_now(participant), token=participant.token)


def _identify(
    request: HttpRequest, session: StudySession
) -> tuple[str, Participant | None]:
    """The recruiter's id of a visitor, and the participant that they are already.

    On a device that knows its participant, the link may come without the id.
    """
    if request.method == "POST":
        external_id = recruiters.unsealed(session, request.POST.get("identity", ""))
    elif session.id_parameter in request.GET or remembered(request, session) is None:
        external_id = recruiters.read_id(session, request.GET)
    else:
        external_id = ""
    if external_id:
        return external_id, recruiters.find(session, external_id)
    return "", remembered(request, session)


def _page(request: HttpRequest, name: str, visit: Visit, context: Mapping[str, Any], *,
          status: int = 200) -> HttpResponse:
    return render(request, f"participation/{name}.html",
                  {"visit": visit, "session": visit.session, "attempt": uuid.uuid4(),
                   # Another: the consent's gives the participant's secret away.
                   "decline_attempt": uuid.uuid4(), **context},
                  status=status)
