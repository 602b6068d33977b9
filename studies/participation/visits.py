"""What every page of the way shares: who asks, in which language, and what no cache may keep."""

import functools
import uuid
from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.functional import Promise

from studies.models import Participant, StudySession
from studies.participation import services
from studies.participation.places import PlaceLapsed, PlaceLost, keep_place
from studies.participation.progress import Step, where_now

# The browser's session remembers which participant it is, per study session.
REMEMBERED = "participants"

View = Callable[..., HttpResponse]


def for_participants(view: View) -> View:
    """Keep an address that holds a secret out of caches, search engines and other sites.

    A view speaks the browser's language until it activates another, which ends with it.
    """

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with translation.override(translation.get_language_from_request(request)):
            try:
                response = view(request, *args, **kwargs)
            finally:
                # The page that says what went wrong is made after this, and speaks it too.
                request.LANGUAGE_CODE = translation.get_language()
        response.headers.setdefault("Cache-Control", "private, no-store")
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        # Not no-referrer: browsers then send "Origin: null", which the CSRF check refuses.
        response.headers["Referrer-Policy"] = "same-origin"
        return response

    return wrapped


def with_a_place(view: View) -> View:
    """Say kindly that the place is gone, where it lapsed, and offer a free one."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, token: uuid.UUID, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, token, **kwargs)
        except PlaceLapsed:
            return render(request, "participation/away.html", {"token": token})
        except PlaceLost:
            return render(request, "participation/place_lost.html", {"token": token}, status=403)

    return wrapped


def find_participant(token: uuid.UUID) -> Participant:
    """The participant with this token; from here on, the reply speaks their language."""
    participants = Participant.objects.select_related("session__study")
    participant = get_object_or_404(participants, token=token)
    translation.activate(participant.language)
    return participant


def present_participant(token: uuid.UUID, *, may_take: bool = True) -> Participant:
    """The participant with this token, who is here now and so keeps the place.

    Raises
    ------
    PlaceLost
        If the place lapsed, and none is free or none may be taken.
    """
    participant = find_participant(token)
    stay(participant, may_take=may_take)
    return participant


def page_participant(request: HttpRequest, token: uuid.UUID) -> Participant:
    """Who is present on a page. Merely fetching it takes no place: link previews do so, too."""
    return present_participant(token, may_take=request.method == "POST")


def stay(participant: Participant, *, may_take: bool = True) -> None:
    """Keep the place; who has nothing left to do needs none, and is finished.

    Raises
    ------
    PlaceLost
        If the place lapsed, and none is free or none may be taken.
    """
    try:
        keep_place(participant, may_take=may_take)
    except PlaceLost as lost:
        try:
            services.finish(participant)
        except services.NotFinished:
            raise lost from None


def elsewhere(participant: Participant, step: Step) -> HttpResponseRedirect | None:
    """A way to where the participant stands, if that is not at this step."""
    stands = where_now(participant)
    return None if stands == step else redirect(stands, token=participant.token)


def remembered(request: HttpRequest, session: StudySession) -> Participant | None:
    token = request.session.get(REMEMBERED, {}).get(str(session.public_id))
    return session.participants.filter(token=token).first() if token else None


def remember(request: HttpRequest, participant: Participant) -> None:
    # As at a login: whoever planted the session's key beforehand must not come to know the token.
    request.session.cycle_key()
    tokens = request.session.get(REMEMBERED, {})
    request.session[REMEMBERED] = {
        **tokens, str(participant.session.public_id): str(participant.token)
    }


def refused(request: HttpRequest, sentence: str | Promise, *, status: int) -> HttpResponse:
    return render(request, "participation/refused.html", {"sentence": sentence}, status=status)
