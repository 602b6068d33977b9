"""Whatever happens to the connection, the server, the page or the tab: each trial keeps the one
answer that was pressed while it was on the screen."""

import os
import random

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from studies.models import Response, withdraw
from tests.conftest import free_port, serving, wait_until
from tests.studies.trial_page import PATIENCE_MS, TrialPage, begin, make_session

pytestmark = pytest.mark.browser
OFFLINE_SECONDS = float(os.environ.get("BUDGETSTUDY_TEST_OFFLINE_SECONDS", "3"))
# Another tab takes over once the images are drawn, before the frame that shows them.
TAKE_OVER_WITHIN_THE_FRAME = """() => { const nextFrame = requestAnimationFrame.bind(window);
    const page = document.querySelector("[data-trials]");
    const other = new BroadcastChannel("trials:" + page.dataset.next);
    new MutationObserver(() => { if (page.dataset.state !== "shown") return;
        window.requestAnimationFrame = (draw) => setTimeout(() => nextFrame(draw), 500);
        other.postMessage("taken"); }).observe(page, {attributeFilter: ["data-state"]}); }"""
INTERRUPTED = "Your connection is interrupted. Everything you answered is kept"


@pytest.fixture
def way(page: Page, site: str) -> TrialPage:
    way = TrialPage(page, site, begin(make_session()))
    way.open()
    return way


def expect_interrupted(page: Page) -> None:
    expect(page.get_by_text(INTERRUPTED)).to_be_visible(timeout=PATIENCE_MS)


def test_offline_for_a_while(way: TrialPage) -> None:
    way.answer("left")
    way.wait()
    way.wait_for_stored(1)
    way.page.wait_for_load_state("networkidle")  # The trial after this one is loaded.
    way.page.context.set_offline(True)
    way.press("right")
    way.answer("left")  # The page goes on with what it has.
    expect_interrupted(way.page)
    way.page.wait_for_timeout(1000 * OFFLINE_SECONDS)
    assert way.num_stored() == 1
    way.page.context.set_offline(False)
    way.answer_the_rest()
    expect(way.page.get_by_text(INTERRUPTED)).to_be_hidden()
    way.check_nothing_lost()


def test_server_killed_and_restarted(page: Page, transactional_db: None) -> None:
    port = free_port()
    way = TrialPage(page, f"http://127.0.0.1:{port}", begin(make_session()))
    with serving(port) as server:
        way.open()
        way.answer("left")
        way.wait()
        way.wait_for_stored(1)
        page.wait_for_load_state("networkidle")
        server.kill()
        server.wait()
        way.press("right")
        way.answer("right")
        expect_interrupted(page)
    with serving(port):
        way.answer_the_rest()
    way.check_nothing_lost()


def test_response_dropped_after_the_commit(way: TrialPage) -> None:
    dropped: list[str] = []

    def drop(route: Route) -> None:
        reply = route.fetch()  # The server stores the answer; the browser never hears of it.
        assert reply.status == 200
        dropped.append(route.request.url)
        route.abort() if len(dropped) % 2 else route.fulfill(response=reply)

    way.page.route("**/answer", drop)
    way.answer_the_rest()
    assert len(dropped) == 2 * len(way.pressed)
    way.check_nothing_lost()


def test_server_that_fails_before_the_commit(way: TrialPage) -> None:
    statuses = [500, 502, 503, 429]
    way.page.route("**/answer", lambda route: route.fulfill(status=statuses.pop()), times=4)
    way.answer_the_rest()
    assert not statuses
    way.check_nothing_lost()


def test_reload_with_two_answers_on_their_way(way: TrialPage) -> None:
    way.wait()
    way.page.wait_for_load_state("networkidle")
    way.page.route("**/answer", lambda route: route.abort())
    way.press("left")
    way.answer("right")
    expect_interrupted(way.page)
    assert way.num_stored() == 0
    way.page.unroute("**/answer")
    way.page.reload()
    way.wait()
    way.page.reload()  # In the middle of a trial.
    way.answer_the_rest()
    way.check_nothing_lost()


def test_back_button(way: TrialPage) -> None:
    way.answer("left")
    way.wait()
    way.page.goto(way.address.replace("trials", "instructions"))
    way.page.go_back()
    way.answer("right")
    way.answer("left")
    way.page.go_forward()
    way.page.go_back()
    way.answer_the_rest()
    way.page.go_forward()
    way.page.go_back()
    way.page.wait_for_url("**/done", timeout=PATIENCE_MS)
    way.check_nothing_lost()


def test_double_clicks(way: TrialPage) -> None:
    for number in range(way.participant.trials.count()):
        side = "left" if number % 2 else "right"
        way.pressed.append((way.wait(), side))
        way.page.get_by_role("button", name=f"{side} image").dblclick()
    way.page.wait_for_url("**/done", timeout=PATIENCE_MS)
    way.check_nothing_lost()


def test_held_key(way: TrialPage) -> None:
    way.pressed.append((way.wait(), "left"))
    way.page.keyboard.down("f")
    way.wait()
    for _ in range(20):
        way.page.keyboard.down("f")  # A repeat, as the key is down already.
    way.wait_for_stored(1)
    way.page.keyboard.up("f")
    way.answer_the_rest()
    way.check_nothing_lost()


def test_two_tabs(way: TrialPage) -> None:
    older = way.page
    way.answer("left")
    way.wait()
    way.page = older.context.new_page()
    way.open()
    way.answer("right")
    expect(older.get_by_text("You went on in another tab")).to_be_visible(timeout=PATIENCE_MS)
    for key in ("f", "ArrowRight", "j"):
        older.keyboard.press(key)
    way.answer("right")
    way.wait()
    newer, way.page = way.page, older
    older.get_by_role("button", name="Use this tab instead").click()
    expect(newer.get_by_text("You went on in another tab")).to_be_visible(timeout=PATIENCE_MS)
    way.answer_the_rest()
    way.check_nothing_lost()
    newer.get_by_role("button", name="Use this tab instead").click()
    newer.wait_for_url("**/done")


def test_tab_that_steps_back_between_draw_and_paint_takes_no_answer(way: TrialPage) -> None:
    way.answer("left")
    way.wait()
    way.wait_for_stored(1)
    way.page.evaluate(TAKE_OVER_WITHIN_THE_FRAME)
    way.press("right")
    way.wait_for_stored(2)
    use_this = way.page.get_by_role("button", name="Use this tab instead")
    expect(use_this).to_be_visible(timeout=PATIENCE_MS)
    way.page.wait_for_timeout(1000)  # Beyond the frame that would have shown the images.
    way.page.keyboard.press("f")
    assert way.page.evaluate("localStorage.length") == 0
    use_this.click()
    way.answer_the_rest()
    way.check_nothing_lost()


def test_tab_that_steps_back_still_sends_what_was_answered_in_it(way: TrialPage) -> None:
    older = way.page
    older.route("**/answer", lambda route: route.abort())
    way.answer("right")
    way.page = older.context.new_page()
    way.open()  # Sends it too: both tabs have the same outbox.
    way.wait_for_stored(1)
    older.unroute("**/answer")
    way.answer_the_rest()
    way.check_nothing_lost()


def test_tab_closed_and_reopened(way: TrialPage) -> None:
    context = way.page.context
    context.route("**/answer", lambda route: route.abort())
    way.answer("left")
    way.answer("right")
    way.page.close()
    assert way.num_stored() == 0
    context.unroute("**/answer")
    way.page = context.new_page()
    way.open()
    way.wait_for_stored(2)
    way.answer("left")
    way.page.close()  # At once: the answer may be on its way or not.
    way.page = context.new_page()
    way.open()
    way.answer_the_rest()
    way.check_nothing_lost()


def test_storage_that_is_forbidden(way: TrialPage) -> None:
    way.page.add_init_script("Object.defineProperty(window, 'localStorage', "
                             "{get() { throw new DOMException('no', 'SecurityError'); }})")
    way.open()
    way.wait()
    way.page.route("**/answer", lambda route: route.abort(), times=2)
    way.answer_the_rest()
    assert way.num_stored() == len(way.pressed) == way.participant.trials.count()


def test_answer_that_is_refused_for_good_is_said_and_asked_for_again(way: TrialPage) -> None:
    way.answer("left")
    way.wait()
    way.wait_for_stored(1)
    way.page.route("**/answer", lambda route: route.fulfill(status=400, json={"error": "No."}),
                   times=1)
    way.page.keyboard.press("j")
    expect(way.page.get_by_text("an answer of yours could not be taken")).to_be_visible(
        timeout=PATIENCE_MS)
    expect(way.page.get_by_text("Nothing you answered is lost")).to_be_hidden()
    way.page.get_by_role("link", name="load the page again").click()
    way.answer_the_rest()
    way.check_nothing_lost()


def test_who_withdrew_in_another_tab_is_told_so(way: TrialPage) -> None:
    way.answer("left")
    way.wait()
    way.wait_for_stored(1)
    withdraw(way.participant)
    way.page.keyboard.press("f")
    expect(way.page.get_by_role("heading", name="You have withdrawn")).to_be_visible(
        timeout=PATIENCE_MS)


def test_no_answer_stays_in_the_browser_of_who_withdrew(way: TrialPage) -> None:
    way.wait()
    way.page.route("**/answer", lambda route: route.abort())
    way.press("left")
    wait_until(lambda: way.page.evaluate("localStorage.length") == 1, seconds=60)
    way.page.evaluate("localStorage.setItem('another', 'kept')")
    withdraw(way.participant)
    way.page.goto(way.address.replace("trials", "withdrawn"))
    wait_until(lambda: way.page.evaluate("Object.keys(localStorage).join()") == "another",
               seconds=60)


def test_image_that_arrives_broken_is_loaded_anew(way: TrialPage) -> None:
    broken = {"body": "no image", "content_type": "image/webp",
              "headers": {"Cache-Control": "private, max-age=3600"}}
    way.page.route("**/stimulus", lambda route: route.fulfill(**broken), times=2)
    way.open()
    way.answer_the_rest()
    way.check_nothing_lost()


def test_image_that_stays_broken_is_not_called_a_lost_connection(way: TrialPage) -> None:
    way.page.route("**/stimulus", lambda route: route.fulfill(body="no image"))
    way.open()
    again = way.page.get_by_role("link", name="load the page again")
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    way.page.unroute("**/stimulus")
    again.click()
    way.answer_the_rest()
    way.check_nothing_lost()


def test_one_thing_after_another(way: TrialPage, browser: Browser, site: str) -> None:
    """Each trial meets a mishap of its own, drawn from a seed."""
    chance = random.Random(4)
    way = TrialPage(way.page, site, begin(make_session(main_trials=12)))
    way.open()
    mishaps = ["none", "offline", "reload", "dropped", "closed", "failing"] * 2
    chance.shuffle(mishaps)
    for mishap in mishaps:
        way.wait()
        side = chance.choice(["left", "right"])
        _happen(way, mishap, side)
    way.page.wait_for_url("**/done", timeout=PATIENCE_MS)
    way.check_nothing_lost()


def _happen(way: TrialPage, mishap: str, side: str) -> None:
    page, context = way.page, way.page.context
    match mishap:
        case "offline":
            context.set_offline(True)
            way.press(side)
            page.wait_for_timeout(300)
            context.set_offline(False)
        case "dropped":
            page.route("**/answer", lambda route: (route.fetch(), route.abort()), times=1)
            way.press(side)
        case "failing":
            page.route("**/answer", lambda route: route.fulfill(status=503), times=2)
            way.press(side)
        case "reload":
            way.press(side)
            page.reload()
        case "closed":
            way.press(side)
            page.close()
            way.page = context.new_page()
            way.open()
        case _:
            way.press(side)


def test_other_device_answers_first(way: TrialPage, browser: Browser) -> None:
    """The first answer to a trial counts; the second device goes on where the first is."""
    way.wait()
    first, other = way.page, browser.new_context().new_page()
    way.page = other
    way.open()
    way.answer("left")
    way.wait()
    way.wait_for_stored(1)
    first.keyboard.press("j")  # Another answer to the trial that is answered.
    wait_until(lambda: first.evaluate("localStorage.length") == 0, seconds=60)
    assert Response.objects.get().chosen_side == "left"
    way.page = first
    way.answer_the_rest()
    way.check_nothing_lost()
    other.context.close()
