"""The pages before and after the trials in Chromium: for everyone, and without scripts."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from studies.models import Participant, StudySession
from studies.participation import services
from tests import factories

pytestmark = pytest.mark.browser
DESKTOP: Any = {"viewport": {"width": 1280, "height": 800}}
PHONE: Any = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True,
              "device_scale_factor": 2}
LEFT = services.Answer(chosen_side="left", response_ms=812, input_method="keyboard")


@pytest.fixture
def session(site: str) -> StudySession:
    """With everything that the pages can show, and no text that names a language."""
    study = factories.make_study(has_screen_check=True, min_window_px=360, task="similarity")
    questions: list[dict[str, Any]] = [
        {"text": "Do you wear glasses?", "choices": "yes\nno"},
        {"text": "How old are you?", "kind": "number", "choices": "", "minimum": 18},
        {"text": "How often?", "kind": "scale", "choices": "never\nalways", "minimum": 1,
         "maximum": 7},
        {"text": "Anything else?", "kind": "text", "choices": "", "is_required": False},
    ]
    for position, values in enumerate(questions):
        factories.make_question(study=study, position=position, **values)
    return factories.make_open_session(study=study, return_url="https://pay.example/?c={code}")


def check(page: Page) -> None:
    """The page is for everyone, and fits its window."""
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = page.evaluate("""() => [...document.querySelectorAll("button, .button, label")]
        .filter((each) => each.offsetParent && each.offsetHeight < 44 && !each.htmlFor)
        .map((each) => each.textContent)""")
    assert not small


def press(page: Page) -> None:
    """Follow the page's primary action by keyboard."""
    action = page.locator("a[data-next], form[data-next] button")
    action.focus()
    page.keyboard.press("Enter")


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_for_everyone(
    browser: Browser, site: str, session: StudySession, device: dict
) -> None:
    context = browser.new_context(**device)
    page = context.new_page()
    page.goto(f"{site}/join/{session.public_id}/")
    check(page)
    press(page)
    page.wait_for_url("**/consent*")
    check(page)
    page.get_by_role("checkbox").check()
    press(page)
    page.wait_for_url("**/questions/before")
    check(page)
    press(page)
    expect(page.get_by_role("alert")).to_be_visible()
    check(page)
    page.get_by_label("no", exact=True).check()
    page.get_by_label("How old are you?").fill("23")
    page.get_by_label("7, always").check()
    press(page)
    page.wait_for_url("**/screen")
    check(page)
    press(page)
    page.wait_for_url("**/instructions")
    check(page)
    participant = Participant.objects.get()
    page.goto(f"{site}/take/{participant.token}/withdraw")
    check(page)
    services.note_instructed(participant)
    for trial in participant.trials.order_by("index"):
        services.record_response(participant, trial, LEFT)
    page.goto(f"{site}/take/{participant.token}/done")
    check(page)
    page.goto(f"{site}/take/{participant.token}/withdraw")
    page.get_by_role("button", name="Withdraw and erase").click()
    page.wait_for_url("**/withdrawn")
    check(page)
    page.goto(f"{site}/join/{session.public_id}/declined")
    check(page)
    context.close()


def come_to_the_screen_check(page: Page, site: str, session: StudySession) -> None:
    session.study.questions.all().delete()
    page.goto(f"{site}/join/{session.public_id}/consent")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree").click()
    page.wait_for_url("**/screen")


def test_window_is_checked_again_whenever_it_changes(
    browser: Browser, site: str, session: StudySession
) -> None:
    page = browser.new_page(viewport={"width": 340, "height": 700})
    come_to_the_screen_check(page, site, session)
    expect(page.get_by_text("too narrow")).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    page.set_viewport_size({"width": 800, "height": 700})
    expect(page.get_by_text("large enough")).to_be_visible()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/instructions")
    assert Participant.objects.get().screen["window_width"] == 800
    page.close()


def test_phone_is_sent_to_a_larger_screen(
    browser: Browser, site: str, session: StudySession
) -> None:
    type(session.study).objects.update(are_phones_allowed=False)
    context = browser.new_context(**PHONE)
    page = context.new_page()
    come_to_the_screen_check(page, site, session)
    own_link = f"{site}/take/{Participant.objects.get().token}/"
    expect(page.get_by_text(own_link)).to_be_visible()
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    context.close()
    page = browser.new_page(**DESKTOP)
    page.goto(own_link)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/instructions")
    page.close()


def test_without_scripts_the_forms_work_up_to_the_screen_check(
    browser: Browser, site: str, session: StudySession
) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/join/{session.public_id}/")
    page.get_by_role("link", name="Continue").click()
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Agree").click()
    page.get_by_label("no", exact=True).check()
    page.get_by_label("How old are you?").fill("23")
    page.get_by_label("4", exact=True).check()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/screen")
    # Chromium under Playwright hides what stands in a noscript, so it is only read here.
    assert "needs JavaScript and a window" in (page.locator("noscript").text_content() or "")
    expect(page.get_by_role("button", name="Continue")).to_be_hidden()
    page.get_by_role("link", name="Withdraw").click()
    page.get_by_role("button", name="Withdraw and erase").click()
    expect(page.get_by_text("Your answers are erased")).to_be_visible()
    context.close()
