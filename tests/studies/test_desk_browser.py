"""An experimenter at work, in Chromium on a real server."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.utils.timezone import now
from playwright.sync_api import Browser, Page, expect

from generation.models import Predictor, Render, RenderState
from generation.rendering.notices import notify_renders_changed
from generation.scenes.tokenizer import build_tokenizer
from studies.models import (
    Pair,
    RecruiterIdentity,
    SessionState,
    Study,
    StudySession,
    StudyState,
)
from tests import factories
from tests.conftest import wait_until

pytestmark = pytest.mark.browser
PASSWORD = "plum-lantern-42"


@pytest.fixture
def predictor(transactional_db: None, tmp_path: Path) -> Predictor:
    build_tokenizer().backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"max_tokens": 30}))
    return factories.make_predictor(source=str(tmp_path))


@pytest.fixture
def desk(browser: Browser, site: str, predictor: Predictor) -> Iterator[Page]:
    """The admin's first page, logged in; fails on script errors, refusals and foreign requests."""
    User.objects.create_superuser("eva", password=PASSWORD)
    context = browser.new_context(base_url=site, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text)
            if message.type == "error" else None)
    page.on("request", lambda request: complaints.append(request.url)
            if not request.url.startswith((site, "data:", "blob:")) else None)
    page.goto("/admin/")
    page.get_by_label("Username").fill("eva")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Create a study")).to_be_visible()
    yield page
    context.close()
    assert complaints == []


def prepare_by_hand(study: Study) -> None:
    """What the workers would do: budgets, pairs, images and stimuli."""
    contrast = study.contrasts.get()
    for _ in range(4):
        factories.make_ready_pair(contrast=contrast)
    factories.make_catch_pairs(study, study.num_catch_pairs(study.study_prompts.count()))
    Study.objects.filter(pk=study.pk).update(state=StudyState.PREPARING)


def notify() -> None:
    """As a worker would: Playwright's event loop occupies this thread."""
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(notify_renders_changed).result()


def test_from_prompt_file_to_closed_session(desk: Page, predictor: Predictor,
                                            tmp_path: Path) -> None:
    prompts = tmp_path / "shapes.csv"
    prompts.write_text("prompt,category\na red circle,round\na blue square,square\n")
    desk.get_by_role("link", name="Create a study").click()
    desk.get_by_label("Name").fill("Shapes")
    desk.get_by_label("Prompt file").set_input_files(prompts)
    desk.get_by_label("Main trials").fill("4")
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_text("2 prompts were read from shapes.csv.")).to_be_visible()
    expect(desk.get_by_text("The images are not prepared.")).to_be_visible()

    desk.get_by_role("button", name="Prepare images").click()
    expect(desk.get_by_text("Predicting a budget of steps")).to_be_visible()
    study = Study.objects.get()
    prepare_by_hand(study)
    notify()
    expect(desk.get_by_text("Everything is there: a session can open.")).to_be_visible()
    expect(desk.get_by_role("progressbar", name="Images rendered")).to_have_attribute("value", "12")
    expect(desk.get_by_text("catch pairs ready")).to_be_visible()

    desk.get_by_role("link", name="Open a session").click()
    desk.get_by_role("button", name="Save", exact=True).click()
    desk.get_by_role("button", name="Copy the link").click()
    expect(desk.get_by_text("Copied.")).to_be_visible()
    session = StudySession.objects.get()
    copied = desk.evaluate("navigator.clipboard.readText()")
    assert copied.endswith(f"/join/{session.public_id}/")
    assert session.state == SessionState.OPEN

    desk.get_by_role("button", name="Close the session").click()
    expect(desk.get_by_text("The session is closed.")).to_be_visible()
    session.refresh_from_db()
    assert session.state == SessionState.CLOSED
    desk.get_by_role("link", name="Study: Shapes").click()
    expect(desk.get_by_text("The design can no longer change")).to_be_visible()


def test_a_refused_file_is_explained_beside_its_field(desk: Page, tmp_path: Path) -> None:
    prompts = tmp_path / "long.txt"
    prompts.write_text("a red circle\n" + "red " * 60)
    desk.goto("/admin/studies/study/add/")
    desk.get_by_label("Name").fill("Long")
    desk.get_by_label("Prompt file").set_input_files(prompts)
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(desk.get_by_text("long.txt, line 2: 62 tokens long, the model reads at most 30")
           ).to_be_visible()


def test_a_fixed_arm_asks_for_its_number(desk: Page) -> None:
    desk.goto("/admin/studies/study/add/")
    number = desk.locator("[name=contrasts-0-candidate_arm_steps]")
    expect(number).to_be_hidden()
    desk.locator("[name=contrasts-0-candidate_arm_rule]").select_option("fixed")
    number.fill("12")


def test_a_text_is_looked_at_as_participants_will_read_it(desk: Page) -> None:
    desk.goto("/admin/studies/study/add/")
    desk.get_by_text("8. What participants read").click()
    row = desk.locator(".field-row:has(> .field-welcome_text)").first
    preview = row.get_by_role("region", name="Preview")
    expect(preview).to_be_hidden()
    row.get_by_role("button", name="Preview").press("Enter")
    expect(preview).to_contain_text("comparisons, and it takes about")
    desk.locator("#id_main_trials").fill("")
    row.get_by_role("textbox").fill("Come *in*")
    expect(preview).to_have_text("Main trials: This field is required.")
    desk.locator("#id_main_trials").fill("8")
    row.get_by_role("textbox").fill("Come **in**<script>alert(1)</script>")
    expect(preview.locator("strong")).to_have_text("in")
    expect(row.get_by_role("button", name="Preview")).to_have_attribute("aria-expanded", "true")
    row.get_by_role("button", name="Preview").press("Enter")
    expect(preview).to_be_hidden()


def test_a_translation_that_is_added_can_be_looked_at_too(desk: Page) -> None:
    desk.goto("/admin/studies/study/add/")
    desk.get_by_text("9. Translations").click()
    desk.get_by_text("Add another Translation").click()
    row = desk.locator("#translations-group .field-row:has(> .field-consent_text)").first
    row.get_by_role("textbox").fill("# Einverständnis")
    row.get_by_role("button", name="Preview").click()
    expect(row.get_by_role("heading", name="Einverständnis")).to_be_visible()


def test_a_question_shows_what_its_kind_asks_for_and_opens_where_it_is_wrong(desk: Page) -> None:
    desk.goto("/admin/studies/study/add/")
    desk.get_by_label("Name").fill("Shapes")
    desk.get_by_text("10. Questions before and after").click()
    desk.get_by_text("Add another Question").click()
    group = desk.locator("#questions-group")
    choices, minimum = (group.locator(f"[name=questions-0-{name}]")
                        for name in ("choices", "minimum"))
    for kind, has_choices, has_ends in (("choice", True, False), ("number", False, True),
                                        ("text", False, False), ("scale", True, True)):
        group.locator("[name=questions-0-kind]").select_option(kind)
        expect(choices).to_be_visible(visible=has_choices)
        expect(minimum).to_be_visible(visible=has_ends)
    group.locator("[name=questions-0-text]").fill("How hard was it?")
    group.locator("[name=questions-0-name]").fill("effort")
    desk.get_by_role("button", name="Save", exact=True).click()
    expect(group.get_by_text("A scale needs both its ends.").first).to_be_visible()


def test_the_surround_and_the_limits_of_the_screen_are_shown_as_they_are_set(desk: Page) -> None:
    desk.goto("/admin/studies/study/add/")
    desk.get_by_text("6. How a trial is shown").click()
    swatch = desk.locator("output.desk-swatch")
    expect(swatch).to_have_text("18% of white")
    desk.locator("#id_surround_grey").fill("255")
    expect(swatch).to_have_text("100% of white")
    expect(swatch).to_have_css("background-color", "rgb(255, 255, 255)")
    desk.locator("#id_surround_grey").fill("300")
    expect(swatch).to_be_hidden()
    desk.get_by_text("7. The participant's way").click()
    expect(desk.locator("#id_min_window_px")).to_be_visible()
    desk.locator("#id_has_screen_check").uncheck()
    expect(desk.locator("#id_min_window_px")).to_be_hidden()


def test_images_appear_as_they_are_rendered_without_a_reload(
    desk: Page, predictor: Predictor
) -> None:
    study = factories.make_study(predictor=predictor, state=StudyState.PREPARING)
    contrast, prompt = factories.make_contrast(study=study), factories.make_prompt()
    study.study_prompts.create(prompt=prompt, position=1)
    baseline = factories.make_ready_render(model=study.model, prompt=prompt, num_steps=50)
    candidate = factories.make_render(model=study.model, prompt=prompt)
    Pair.objects.create(contrast=contrast, prompt=prompt, seed=1, candidate=candidate,
                        baseline=baseline)
    desk.goto(f"/admin/studies/study/{study.pk}/change/")
    bar = desk.get_by_role("progressbar", name="Images rendered")
    expect(bar).to_have_attribute("value", "1")
    desk.evaluate("window.isSamePage = true")
    finish(candidate, like=baseline)
    notify()
    expect(bar).to_have_attribute("value", "2")
    expect(desk.get_by_alt_text("budgeted, 8 steps")).to_be_visible()
    wait_until(lambda: desk.evaluate(
        "[...document.querySelectorAll('.desk-pair img')].every((image) => image.naturalWidth)"
    ), seconds=5)
    assert desk.evaluate("window.isSamePage")


def finish(render: Render, *, like: Render) -> None:
    content = like.image.read()
    render.image.save(f"{render.public_id}.webp", like.image.file, save=False)
    render.state, render.sha256 = RenderState.READY, hashlib.sha256(content).hexdigest()
    render.unet_evaluations, render.seconds, render.finished_at = 8, 0.1, now()
    render.save()


# Cells of a list that hold more than they show, and ways back that are shortened.
CUT_OFF = """() => [...document.querySelectorAll("#result_list td, #result_list th, a.desk-crumb")]
    .filter((item) => item.matches("td, th") ? item.scrollHeight > item.clientHeight + 1
        : item !== item.parentElement.lastElementChild && item.scrollWidth > item.clientWidth)
    .map((item) => item.textContent.trim())"""


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_scrolls_sideways(desk: Page, predictor: Predictor, width: int) -> None:
    study = factories.make_study(predictor=predictor, welcome_text="W" * 500)
    question = study.questions.create(name="display", text="What do you look at?" * 9,
                                      choices="a laptop\na phone")
    study.translations.create(language="de", question="Welches Bild gefällt Ihnen besser?" * 3)
    session = factories.make_open_session(
        study=study, id_parameter="PROLIFIC_PID",
        return_url="https://app.prolific.com/submissions/complete?cc={code}")
    participant = factories.make_participant(session=session)
    pair = session.study.contrasts.get().pairs.select_related("prompt", "candidate")[0]
    pair.prompt.text = ", ".join(["top left a large checkered orange circle"] * 5)
    pair.prompt.save(update_fields=["text"])
    factories.make_trial(participant=participant, pair=pair)
    participant.question_answers.create(question=question, value="a laptop")
    RecruiterIdentity.objects.create(participant=participant, session=session,
                                     external_id="5f0a" * 6)
    Render.objects.filter(pk=pair.candidate_id).update(
        provenance={"versions": {"torch": "2.13.0"}, "hash": "0123456789abcdef" * 8})
    desk.set_viewport_size({"width": width, "height": 900})
    for address in (
        "", "studies/study/", "studies/study/add/", f"studies/study/{session.study_id}/change/",
        "studies/studysession/", f"studies/studysession/{session.pk}/change/",
        f"studies/question/{question.pk}/change/", f"studies/participant/{participant.pk}/change/",
        "studies/recruiteridentity/", "studies/participant/", "studies/trial/",
        "studies/response/", "generation/render/",
        f"generation/render/{pair.candidate_id}/change/",
    ):
        desk.goto(f"/admin/{address}")
        desk.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
        assert desk.evaluate("document.documentElement.scrollWidth") <= width, address
        assert desk.evaluate(CUT_OFF) == [], address
