"""Going the participant's way as a browser without scripts would."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from django.test import Client

from studies.models import Participant, StudySession
from studies.participation import services

DESKTOP = {"window_width": 1280, "window_height": 800, "screen_width": 1920,
           "screen_height": 1080, "device_pixel_ratio": 1.25, "zoom_percent": 100, "is_touch": ""}


@dataclass
class Action:
    """A link or a form of a page; `fields` are what the form sends when nothing is filled in."""

    is_form: bool
    address: str
    is_next: bool
    fields: dict[str, str] = field(default_factory=dict)


class _Actions(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Action] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "form":
            self.found.append(Action(True, said.get("action") or "", "data-next" in said))
        elif tag == "a":
            self.found.append(Action(False, said["href"] or "", "data-next" in said))
        elif tag == "input" and said.get("type") == "hidden" and self.found:
            self.found[-1].fields[said["name"] or ""] = said.get("value") or ""


def actions(reply: Any) -> list[Action]:
    parser = _Actions()
    parser.feed(reply.content.decode())
    return parser.found


def next_action(reply: Any) -> Action:
    """The page's one primary action."""
    (action,) = [action for action in actions(reply) if action.is_next]
    return action


def address_of(reply: Any) -> str:
    """Where a reply that a client followed came from."""
    return str(reply.request["PATH_INFO"])


def go_on(client: Client, reply: Any, **filled: object) -> Any:
    """Follow the primary action, with fields filled in, to the page that it leads to."""
    action = next_action(reply)
    address = action.address or address_of(reply)
    if not action.is_form:
        return client.get(address, follow=True)
    return client.post(address, {**action.fields, **filled}, follow=True)


def enter(client: Client, session: StudySession, *, query: str = "", **headers: str) -> Any:
    """From the join link over landing and consent to the first page of the way."""
    page = client.get(f"/join/{session.public_id}/{query}", headers=headers, follow=True)
    while address_of(page).startswith("/join/"):
        page = go_on(client, page, **({"agreed": "on"} if "consent" in address_of(page) else {}))
        assert page.status_code == 200
    return page


def begin(session: StudySession) -> Participant:
    """A participant of a study without a screen check or questions, in front of the trials."""
    participant = services.start(session)
    services.note_instructed(participant)
    return participant
