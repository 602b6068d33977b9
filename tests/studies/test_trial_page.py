"""How a trial stands on the screen, and what the study's settings change about it."""

import itertools
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from studies.models import Contrast, Response, Trial
from tests.studies.trial_page import (
    PATIENCE_MS,
    WATCH_STATES,
    TrialPage,
    begin,
    make_session,
)

pytestmark = pytest.mark.browser
LEFT_STANDS_LEFT = """() => { const [left, right] = ["left", "right"].map((side) =>
    document.querySelector(`canvas[data-canvas=${side}]`).getBoundingClientRect());
    return left.right <= right.left; }"""
CONTRASTS = """() => {
    const luminance = (colour) => { const [r, g, b] = colour.match(/[\\d.]+/g).map((level) => {
        const share = level / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    return Array.from({length: 256}, (_, level) => {
        document.documentElement.style.setProperty("--level", level);
        const [ink, paper] = [getComputedStyle(document.body).color,
            getComputedStyle(document.documentElement).backgroundColor];
        const [low, high] = [luminance(ink), luminance(paper)].sort((one, two) => one - two);
        return [paper, (high + 0.05) / (low + 0.05)]; }); }"""


def open_way(page: Page, site: str, **design: Any) -> TrialPage:
    way = TrialPage(page, site, begin(make_session(**design)))
    way.open()
    return way


def find_problems(page: Page) -> list[str]:
    return [rule["id"] for rule in Axe().run(page).response["violations"]]


def test_blank_interval_lasts_as_long_as_the_study_says(page: Page, site: str) -> None:
    way = open_way(page, site, blank_ms=300)
    way.wait()
    page.evaluate(WATCH_STATES)
    way.answer_the_rest_but(1)
    changes = page.evaluate("window.changes")
    lasted = [after - before for (state, before), (_, after) in itertools.pairwise(changes)
              if state == "blank"]
    assert len(lasted) >= 4
    assert min(lasted) >= 290  # To the nearest frame.


def test_answers_count_only_after_the_minimum_viewing_time(page: Page, site: str) -> None:
    way = open_way(page, site, min_viewing_ms=2500)
    way.wait()
    early = page.get_by_text("Please look a little longer")
    page.keyboard.press("f")
    page.get_by_role("button", name="Left image").click()
    expect(early).to_be_visible()
    assert way.num_stored() == 0
    expect(early).to_be_hidden(timeout=PATIENCE_MS)  # Once answers are taken.
    page.evaluate("new Promise(requestAnimationFrame)")
    way.press("right")
    way.wait_for_stored(1)
    stored = Response.objects.get()
    assert stored.chosen_side == "right"
    assert stored.response_ms >= 2500


def test_images_disappear_at_the_limit_and_an_answer_is_still_taken(
    page: Page, site: str
) -> None:
    way = open_way(page, site, viewing_limit_ms=400)
    gone = page.get_by_text("The images are gone; please choose now.")
    expect(gone).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("canvas[data-canvas=left]")).to_be_hidden()
    expect(page.get_by_role("heading")).to_be_visible()
    assert find_problems(page) == []
    page.get_by_role("button", name="Right image").click()
    way.wait_for_stored(1)
    stored = Response.objects.get()
    assert stored.chosen_side == "right"
    assert stored.response_ms >= 400
    expect(page.get_by_text("The images are gone")).to_be_hidden(timeout=PATIENCE_MS)


def test_surround_is_the_studys_grey_with_or_without_scripts(
    browser: Browser, page: Page, site: str
) -> None:
    way = open_way(page, site, surround_grey=30)
    scriptless = browser.new_context(java_script_enabled=False).new_page()
    scriptless.goto(way.address)
    for each in (page, scriptless):
        expect(each.locator("html")).to_have_css("background-color", "rgb(30, 30, 30)")
        expect(each.locator("body")).to_have_css("color", "rgb(255, 255, 255)")
    expect(scriptless.get_by_text("need JavaScript")).to_be_visible()
    scriptless.context.close()


def test_browser_that_is_too_old_is_told_so(page: Page, site: str) -> None:
    page.add_init_script("delete AbortSignal.timeout")
    open_way(page, site)
    expect(page.get_by_text("too old in this browser")).to_be_visible(timeout=PATIENCE_MS)


def test_words_stand_out_at_every_level_of_grey(page: Page, site: str) -> None:
    open_way(page, site)
    found = page.evaluate(CONTRASTS)
    assert [paper for paper, _ in found] == [f"rgb({n}, {n}, {n})" for n in range(256)]
    assert min(contrast for _, contrast in found) >= 4.5


def test_stated_scale_is_kept_where_the_window_allows_it(page: Page, site: str) -> None:
    way = open_way(page, site, image_scale=1.5)
    way.answer("left")
    way.wait_for_stored(1)
    way.wait()
    page.set_viewport_size({"width": 320, "height": 600})
    canvas = page.locator("canvas[data-canvas=left]")
    expect(canvas).to_have_css("width", "128px", timeout=PATIENCE_MS)
    way.press("left")
    way.wait_for_stored(2)
    sizes = Response.objects.order_by("trial__index").values_list("displayed_px", flat=True)
    assert list(sizes) == [192, 128]  # The images are 128 pixels wide.


def test_break_says_how_far_it_is_and_ends_when_the_participant_is_ready(
    page: Page, site: str
) -> None:
    way = open_way(page, site, main_trials=4, trials_per_block=2)
    way.answer("left")
    way.answer("right")
    expect(page.get_by_text("2 of 4 done")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("button", name="Go on")).to_be_focused()
    assert find_problems(page) == []
    page.reload()
    expect(page.get_by_text("2 of 4 done")).to_be_visible(timeout=PATIENCE_MS)
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    way.answer_the_rest()
    way.check_nothing_lost()


def test_practice_in_preference_is_acknowledged_and_judged_by_nobody(
    page: Page, site: str
) -> None:
    way = open_way(page, site, practice_trials=1)
    way.answer("left")
    expect(page.get_by_text("Your choice is noted.")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("Your choice is noted.")).to_be_hidden(timeout=PATIENCE_MS)
    way.answer_the_rest()
    way.check_nothing_lost()


def test_word_on_practice_that_ends_leaves_the_page_to_another_tabs_notice(
    page: Page, site: str
) -> None:
    way = open_way(page, site, practice_trials=1)
    way.wait()
    page.evaluate("""() => { const word = document.querySelector("[data-feedback=noted]");
        const other = new BroadcastChannel("trials:"
            + document.querySelector("[data-trials]").dataset.next);
        new MutationObserver(() => { if (!word.hidden) other.postMessage("taken"); })
            .observe(word, {attributeFilter: ["hidden"]}); }""")
    way.press("left")
    use_this = page.get_by_role("button", name="Use this tab instead")
    expect(use_this).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-feedback=noted]")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.locator("[data-state=interlude]")).to_be_visible()
    expect(use_this).to_be_focused()


def test_practice_in_similarity_says_what_was_right(page: Page, site: str) -> None:
    session = make_session(task="similarity", practice_trials=2, main_trials=2)
    participant = begin(session)
    # Both practice trials are of the contrast that has a right answer.
    catch = Contrast.objects.create(study=session.study, candidate_arm="fixed(1)", is_catch=True)
    for trial in participant.trials.filter(kind="practice"):
        trial.pair.contrast = catch
        trial.pair.save(update_fields=["contrast"])
    way = TrialPage(page, site, participant)
    way.open()
    shown = way.wait()
    way.press("right" if shown.candidate_side == "left" else "left")
    expect(page.get_by_text("Right: this one is closer")).to_be_visible(timeout=PATIENCE_MS)
    shown = way.wait()
    way.press(shown.candidate_side)
    expect(page.get_by_text("Not quite: the other one")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_timeout(500)
    page.keyboard.press("f")  # Ends the word, and answers nothing.
    way.answer_the_rest()
    way.check_nothing_lost()


def test_what_was_measured_is_stored(page: Page, site: str) -> None:
    way = open_way(page, site, main_trials=3)
    way.wait()
    page.evaluate("""() => { for (let i = 0; i < 2; i += 1) {
        window.dispatchEvent(new Event("blur")); window.dispatchEvent(new Event("focus")); } }""")
    page.wait_for_timeout(400)  # Beyond the frames that are measured.
    way.press("left")
    way.answer_the_rest()
    for response in Response.objects.all():
        assert 0 <= response.image_load_ms < 60_000  # type: ignore[operator]
        assert 0 <= response.image_decode_ms < 60_000  # type: ignore[operator]
        assert 1 < response.frame_ms < 1000  # type: ignore[operator]
        assert (response.viewport_width, response.viewport_height) == (1280, 800)
        assert (response.device_pixel_ratio, response.displayed_px) == (1, 512)
        assert response.focus_lost == (2 if response.trial.index == 1 else 0)


def test_trials_shown_to_a_page_without_the_focus_count_as_one_loss(
    page: Page, site: str
) -> None:
    page.add_init_script("Document.prototype.hasFocus = () => false;")
    way = open_way(page, site, main_trials=2)
    way.answer_the_rest()
    assert set(Response.objects.values_list("focus_lost", flat=True)) == {1}


def test_clock_that_is_absurd_costs_no_answer(page: Page, site: str) -> None:
    page.add_init_script("Date.prototype.getUTCFullYear = () => 9999;")
    way = open_way(page, site, main_trials=2)
    way.answer_the_rest()
    way.check_nothing_lost()
    assert set(Response.objects.values_list("shown_at", flat=True)) == {None}


def test_left_is_left_where_words_run_from_the_right(page: Page, site: str) -> None:
    way = open_way(page, site)
    way.wait()
    page.evaluate("document.documentElement.dir = 'rtl'")
    assert page.evaluate(LEFT_STANDS_LEFT)
    way.press("left")
    way.wait_for_stored(1)
    assert Response.objects.get().chosen_side == "left"


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
def test_nothing_stands_in_the_way_of_anybody(
    page: Page, site: str, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    way = open_way(page, site, task="similarity", surround_grey=200)
    way.wait()
    assert find_problems(page) == []
    other = page.context.new_page()
    other.goto(way.address)
    expect(page.get_by_role("button", name="Use this tab instead")).to_be_focused(
        timeout=PATIENCE_MS)
    assert find_problems(page) == []


def test_next_stimulus_is_decoded_before_its_turn(page: Page, site: str) -> None:
    """With the connection gone, the next trial still comes at once: nothing is left to load."""
    way = open_way(page, site)
    way.wait()
    page.wait_for_load_state("networkidle")
    page.context.set_offline(True)
    way.press("left")
    following = way.wait()
    second = Trial.objects.get(participant=way.participant, index=2)
    assert following == (second.pair_id % 200, second.candidate_side)
