"""Drives the trial page, and knows what stood on it and what was pressed."""

import io
from pathlib import Path
from typing import Any, NamedTuple

from django.utils.timezone import now
from PIL import Image
from playwright.sync_api import Page, expect

from studies.models import (
    Participant,
    ParticipantState,
    Response,
    Side,
    Stimulus,
    StudySession,
    Task,
    Trial,
)
from studies.participation.services import start
from tests import factories
from tests.conftest import wait_until

PATIENCE_MS = 60_000  # A machine that does other work meanwhile is slow.
# A press counts from the frame after the one that showed the images.
THREE_FRAMES = """() => new Promise((resolve) => requestAnimationFrame(
    () => requestAnimationFrame(() => requestAnimationFrame(() => resolve(null)))))"""
# Each state of the page with the time of the frame that follows it: when it is on the screen.
WATCH_STATES = """() => { window.changes = [];
    const page = document.querySelector("[data-trials]");
    new MutationObserver(() => { const state = page.dataset.state;
        requestAnimationFrame((frame) => window.changes.push([state, frame])); })
        .observe(page, {attributeFilter: ["data-state"]}); }"""
COLOUR = """(side) => { const canvas = document.querySelector(`canvas[data-canvas=${side}]`);
    return [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1)
        .data].slice(0, 3); }"""


class Shown(NamedTuple):
    """What the screen shows: which pair, and on which side its candidate."""

    pair: int
    candidate_side: str


def make_session(*, main_trials: int = 6, **design: Any) -> StudySession:
    """An open session in which every stimulus can be told from every other by its colours."""
    values = {"practice_trials": 0, "blank_ms": 60} | design
    study = factories.make_study(main_trials=main_trials, **values)
    num_pairs = main_trials + study.practice_trials
    session = factories.make_open_session(study=study, num_pairs=num_pairs)
    for stimulus in Stimulus.objects.filter(pair__contrast__study=study):
        colour_stimulus(stimulus, has_reference=study.task == Task.SIMILARITY)
    return session


def colour_stimulus(stimulus: Stimulus, *, has_reference: bool) -> None:
    """Give the pair's number in red, the candidate in green, the baseline in blue."""
    size = (stimulus.side_width, stimulus.side_height)
    red = stimulus.pair_id % 200
    green, blue = (red, 200, 0), (red, 0, 200)
    left, right = (green, blue) if stimulus.candidate_side == Side.LEFT else (blue, green)
    top = size[1] if has_reference else 0
    sheet = Image.new("RGB", (2 * size[0], top + size[1]), (119, 119, 119))
    sheet.paste(left, (0, top, size[0], top + size[1]))
    sheet.paste(right, (size[0], top, 2 * size[0], top + size[1]))
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", lossless=True, method=0)
    Path(stimulus.image.path).write_bytes(buffer.getvalue())


def begin(session: StudySession) -> Participant:
    """A participant for whom everything before the trials is over."""
    participant = start(session)
    Participant.objects.filter(pk=participant.pk).update(
        instructed_at=now(), screen_checked_at=now(), questions_before_at=now()
    )
    return participant


def pair_number(trial: Trial) -> int:
    return trial.pair_id % 200


class TrialPage:
    """One participant's way through the trials, in whichever tab is current."""

    def __init__(self, page: Page, site: str, participant: Participant) -> None:
        self.page = page
        self.address = f"{site}/take/{participant.token}/trials"
        self.participant = participant
        self.pressed: list[tuple[Shown, str]] = []

    def open(self) -> None:
        self.page.goto(self.address)

    def wait(self) -> Shown:
        """Wait until a trial takes answers, and return what it shows."""
        self.wait_for_show()
        return self.seen()

    def wait_for_show(self) -> None:
        """Wait until a trial takes answers; go on where the page asks for it."""
        is_shown = self.page.locator("[data-state=shown]")
        go_on = self.page.get_by_role("button", name="Go on")
        expect(is_shown.or_(go_on).first).to_be_visible(timeout=PATIENCE_MS)
        if go_on.is_visible():
            go_on.click()
            expect(is_shown).to_be_visible(timeout=PATIENCE_MS)
        self.page.evaluate(THREE_FRAMES)

    def seen(self) -> Shown:
        left, right = (self.page.evaluate(COLOUR, side) for side in ("left", "right"))
        assert left[0] == right[0]
        assert {tuple(left[1:]), tuple(right[1:])} == {(200, 0), (0, 200)}
        return Shown(left[0], "left" if left[1] else "right")

    def press(self, side: str) -> None:
        """Answer what is on the screen by its key."""
        self.pressed.append((self.seen(), side))
        self.page.keyboard.press("f" if side == "left" else "j")

    def answer(self, side: str) -> None:
        self.wait()
        self.press(side)

    def answer_the_rest_but(self, num_left: int) -> None:
        for number in range(len(self.pressed), self.participant.trials.count() - num_left):
            self.answer("left" if number % 3 else "right")

    def answer_the_rest(self) -> None:
        """Answer whatever is left, to the end."""
        self.answer_the_rest_but(0)
        self.page.wait_for_url("**/done", timeout=PATIENCE_MS)

    def num_stored(self) -> int:
        return Response.objects.filter(trial__participant=self.participant).count()

    def wait_for_stored(self, number: int) -> None:
        wait_until(lambda: self.num_stored() == number, seconds=PATIENCE_MS / 1000)

    def check_nothing_lost(self) -> None:
        """Each trial has the one answer that was pressed while it was on the screen."""
        trials = self.participant.trials.select_related("response").order_by("index")
        stored = [(Shown(pair_number(trial), trial.candidate_side), trial.response.chosen_side)
                  for trial in trials]
        assert stored == self.pressed
        assert self.num_stored() == len(self.pressed)
        self.participant.refresh_from_db()
        assert self.participant.state == ParticipantState.FINISHED
        assert self.page.evaluate("localStorage.length") == 0
