"""The whole way in Chromium, against a real server."""

import re
from functools import partial

import pytest
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, expect

from studies.models import Participant, ParticipantState, Response, StudySession
from tests import factories
from tests.conftest import wait_until

pytestmark = pytest.mark.browser
NUM_TRIALS = 5
PATIENCE_MS = 30_000  # A machine that trains a model meanwhile is slow.


@pytest.fixture
def session(site: str) -> StudySession:
    return factories.make_open_session()


def come_to_the_trials(page: Page, site: str, session: StudySession) -> None:
    page.goto(f"{site}/join/{session.public_id}/")
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree and continue").click()
    page.get_by_role("button", name="I am ready").click()


def wait_for_trial(page: Page, number: int) -> None:
    """Wait until the trial with this number, practice included, takes answers."""
    said = "1 of 1" if number == 1 else f"{number - 1} of 4"
    count = page.locator("[data-state=shown] .count span:visible").first
    go_on = page.get_by_role("button", name="Go on")
    expect(count.or_(go_on).first).to_be_visible(timeout=PATIENCE_MS)
    if number == 2:
        expect(count.filter(has_text=said).or_(go_on).first).to_be_visible(timeout=PATIENCE_MS)
        if go_on.is_visible():
            page.keyboard.press("Space")
    expect(count).to_contain_text(said, timeout=PATIENCE_MS)
    page.wait_for_timeout(80)  # Beyond the frame from which an answer counts.


def check_everything_is_stored_once(session: StudySession) -> list[Response]:
    participant = session.participants.get()
    assert participant.state == ParticipantState.FINISHED
    responses = list(Response.objects.filter(trial__participant=participant)
                     .order_by("trial__index"))
    assert [response.trial.index for response in responses] == [1, 2, 3, 4, 5]
    for response in responses:
        assert 20 <= response.response_ms < 20_000
        assert response.displayed_px == 512
        assert response.device_pixel_ratio == 1
        assert response.shown_at is not None
        assert abs((now() - response.shown_at).total_seconds()) < 300
    return responses


def test_by_keyboard(page: Page, site: str, session: StudySession) -> None:
    come_to_the_trials(page, site, session)
    for number, key in enumerate(["f", "ArrowLeft", "j", "ArrowRight", "F"], start=1):
        wait_for_trial(page, number)
        page.keyboard.press(key.lower() if len(key) == 1 else key)
    page.wait_for_url("**/done")
    code = page.locator("output").inner_text()
    responses = check_everything_is_stored_once(session)
    assert code == session.participants.get().completion_code
    assert [response.chosen_side for response in responses] == [
        "left", "left", "right", "right", "left"]
    assert {response.input_method for response in responses} == {"keyboard"}


def test_by_pointer(page: Page, site: str, session: StudySession) -> None:
    come_to_the_trials(page, site, session)
    sides = ["Left", "Right", "Right", "Left", "Right"]
    for number, side in enumerate(sides, start=1):
        wait_for_trial(page, number)
        page.get_by_role("button", name=f"{side} image").click()
    page.wait_for_url("**/done")
    responses = check_everything_is_stored_once(session)
    assert [response.chosen_side for response in responses] == [side.lower() for side in sides]
    assert {response.input_method for response in responses} == {"pointer"}


def test_by_touch_on_a_phone(browser: Browser, site: str, session: StudySession) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True,
                                  is_mobile=True, device_scale_factor=3)
    page = context.new_page()
    come_to_the_trials(page, site, session)
    for number in range(1, NUM_TRIALS + 1):
        wait_for_trial(page, number)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.get_by_role("button", name="Right image").tap()
    page.wait_for_url("**/done")
    responses = Response.objects.all()
    assert {response.input_method for response in responses} == {"touch"}
    assert {response.displayed_px for response in responses} == {171}  # 4 of 3 device pixels each.
    context.close()


SIDES = """() => ["left", "right"].map((name) => {
    const box = document.querySelector(`canvas[data-canvas=${name}]`).getBoundingClientRect();
    return [box.left, box.top, box.right, box.bottom];
})"""


def width_of_left(page: Page) -> float:
    left, _ = page.evaluate(SIDES)
    return float(left[2] - left[0])


def stand_whole_and_alike(page: Page, width: int, height: int) -> bool:
    """Both images lie inside the window, in one row and in one size, and nothing scrolls."""
    left, right = page.evaluate(SIDES)
    sizes = [[round(box[2] - box[0], 2), round(box[3] - box[1], 2)] for box in (left, right)]
    return (
        page.evaluate("innerWidth") == width
        and 0 <= left[0] < left[2] < right[0] < right[2] <= width
        and 0 <= left[1] == right[1] < left[3] == right[3] <= height
        and sizes[0] == sizes[1]
        and page.evaluate("document.documentElement.scrollWidth") <= width
    )


@pytest.mark.parametrize("task", ["preference", "similarity"])
def test_images_follow_the_window_during_a_trial(page: Page, site: str, task: str) -> None:
    session = factories.make_open_session(study=factories.make_study(task=task))
    come_to_the_trials(page, site, session)
    wait_for_trial(page, 1)
    widths = []
    for width, height in ((1280, 800), (900, 800), (700, 800), (390, 844), (1024, 768),
                          (768, 1024), (700, 300), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})
        wait_until(partial(stand_whole_and_alike, page, width, height), seconds=10)
        widths.append(width_of_left(page))
    # What stood whole in the small window does so in the large one too, before it grows.
    wait_until(lambda: width_of_left(page) == widths[0], seconds=10)
    assert widths[0] > widths[3] > 100
    page.keyboard.press("f")
    wait_for_trial(page, 2)


def test_by_tab_and_enter(page: Page, site: str, session: StudySession) -> None:
    come_to_the_trials(page, site, session)
    wait_for_trial(page, 1)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    for number in range(1, NUM_TRIALS + 1):
        wait_for_trial(page, number)
        page.keyboard.press("Enter" if number % 2 else "Space")
    page.wait_for_url("**/done")
    responses = check_everything_is_stored_once(session)
    assert {response.chosen_side for response in responses} == {"right"}
    assert {response.input_method for response in responses} == {"keyboard"}


def test_who_reloads_twice_and_returns_by_the_link_goes_on_at_the_same_trial(
    page: Page, site: str, session: StudySession
) -> None:
    come_to_the_trials(page, site, session)
    wait_for_trial(page, 1)
    page.keyboard.press("f")
    wait_for_trial(page, 2)
    page.reload()
    wait_for_trial(page, 2)
    page.keyboard.press("j")
    wait_for_trial(page, 3)
    page.reload()
    wait_for_trial(page, 3)
    page.goto(f"{site}/join/{session.public_id}/")
    for number in range(3, NUM_TRIALS + 1):
        wait_for_trial(page, number)
        page.keyboard.press("f")
    page.wait_for_url("**/done")
    check_everything_is_stored_once(session)
    page.go_back()
    page.wait_for_url("**/done")
    page.goto(f"{site}/join/{session.public_id}/")
    page.wait_for_url("**/done")
    assert session.participants.count() == 1


def test_early_held_and_double_input_answers_nothing_more(
    page: Page, site: str, session: StudySession
) -> None:
    come_to_the_trials(page, site, session)
    page.keyboard.down("f")  # Before the first stimulus, and held through two.
    wait_for_trial(page, 1)
    for _ in range(5):
        page.keyboard.down("f")  # A repeat, as the key is down already.
    page.keyboard.press("Control+j")
    page.wait_for_timeout(300)
    assert not Response.objects.exists()
    page.keyboard.up("f")
    page.get_by_role("button", name="Left image").dblclick()
    for key in ("j", "ArrowRight", "f"):
        page.keyboard.press(key)  # During the blank interval.
    wait_for_trial(page, 2)
    assert Response.objects.count() == 1
    page.keyboard.press("f")
    left = page.get_by_role("button", name="Left image")
    left.hover()
    page.mouse.down()  # Pressed during the blank interval, released on the stimulus.
    wait_for_trial(page, 3)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert [response.chosen_side for response in Response.objects.all()] == ["left", "left"]
    for number in range(3, NUM_TRIALS + 1):
        wait_for_trial(page, number)
        page.keyboard.press("j")
        page.keyboard.press("f")
    page.wait_for_url("**/done")
    responses = check_everything_is_stored_once(session)
    assert [response.chosen_side for response in responses] == ["left"] * 2 + ["right"] * 3


def test_practice_ends_with_a_word_that_one_key_dismisses(
    page: Page, site: str, session: StudySession
) -> None:
    come_to_the_trials(page, site, session)
    wait_for_trial(page, 1)
    page.keyboard.press("f")
    word = page.get_by_text("The comparisons count from now on.")
    expect(word).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Go on")).to_be_focused()
    expect(page.get_by_role("button", name="Left image")).to_be_hidden()
    for key in ("j", "ArrowLeft"):
        page.keyboard.press(key)  # An answer to nothing.
    expect(word).to_be_visible()
    page.keyboard.press("Enter")
    expect(word).to_be_hidden()
    wait_for_trial(page, 2)
    assert Response.objects.count() == 1


def test_study_without_practice_begins_at_once(page: Page, site: str) -> None:
    session = factories.make_open_session(study=factories.make_study(practice_trials=0))
    come_to_the_trials(page, site, session)
    count = page.locator("[data-state=shown] .count span:visible").first
    expect(count).to_contain_text("1 of 4", timeout=PATIENCE_MS)


def test_server_that_fails_for_a_while_loses_nothing(
    page: Page, site: str, session: StudySession
) -> None:
    page.route("**/stimulus", lambda route: route.fulfill(status=503), times=2)
    page.route("**/next", lambda route: route.fulfill(status=500), times=2)
    page.route("**/answer", lambda route: route.fulfill(status=502), times=2)
    come_to_the_trials(page, site, session)
    for number in range(1, NUM_TRIALS + 1):
        wait_for_trial(page, number)
        page.keyboard.press("f")
    page.wait_for_url("**/done")
    check_everything_is_stored_once(session)


def test_window_that_reports_no_size_costs_no_answer(
    page: Page, site: str, session: StudySession
) -> None:
    page.add_init_script("for (const name of ['innerWidth', 'innerHeight', 'devicePixelRatio']) "
                         "Object.defineProperty(window, name, {get: () => 0})")
    come_to_the_trials(page, site, session)
    wait_for_trial(page, 1)
    page.keyboard.press("f")
    wait_for_trial(page, 2)
    response = Response.objects.get()
    assert response.viewport_width is None
    assert response.viewport_height is None
    assert response.device_pixel_ratio is None


def test_what_stands_left_is_the_left_half_of_the_file(
    page: Page, site: str, session: StudySession
) -> None:
    come_to_the_trials(page, site, session)
    participant = Participant.objects.get()
    read = """name => [...document.querySelector(`canvas[data-canvas=${name}]`)
        .getContext("2d").getImageData(100, 100, 1, 1).data].slice(0, 3)"""
    red, blue = [255, 0, 0], [0, 0, 255]
    for number, trial in enumerate(participant.trials.order_by("index"), start=1):
        wait_for_trial(page, number)
        shown = [page.evaluate(read, side) for side in ("left", "right")]
        # The factory's candidate is red, its baseline blue.
        assert shown == ([red, blue] if trial.candidate_side == "left" else [blue, red])
        page.keyboard.press("f")
    page.wait_for_url("**/done")


def test_next_stimulus_is_loaded_during_the_current_trial(
    page: Page, site: str, session: StudySession
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url)
            if re.search("stimulus$", request.url) else None)
    come_to_the_trials(page, site, session)
    for number in range(1, NUM_TRIALS + 1):
        wait_for_trial(page, number)
        page.wait_for_timeout(200)
        assert len(asked) == len(set(asked)) == min(number + 1, NUM_TRIALS)
        page.keyboard.press("f")
    page.wait_for_url("**/done")


def test_without_javascript_the_page_says_what_is_needed(
    browser: Browser, site: str, session: StudySession
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    come_to_the_trials(page, site, session)
    expect(page.get_by_text("need JavaScript")).to_be_visible()
    context.close()
