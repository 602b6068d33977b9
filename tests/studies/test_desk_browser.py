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
from studies.models import Pair, SessionState, Study, StudySession, StudyState
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
    session = factories.make_open_session(study=factories.make_study(predictor=predictor))
    participant = factories.make_participant(session=session)
    pair = session.study.contrasts.get().pairs.select_related("prompt", "candidate")[0]
    pair.prompt.text = ", ".join(["top left a large checkered orange circle"] * 5)
    pair.prompt.save(update_fields=["text"])
    factories.make_trial(participant=participant, pair=pair)
    Render.objects.filter(pk=pair.candidate_id).update(
        provenance={"versions": {"torch": "2.13.0"}, "hash": "0123456789abcdef" * 8})
    desk.set_viewport_size({"width": width, "height": 900})
    for address in (
        "", "studies/study/", "studies/study/add/", f"studies/study/{session.study_id}/change/",
        "studies/studysession/", f"studies/studysession/{session.pk}/change/",
        "studies/participant/", "studies/trial/", "studies/response/", "generation/render/",
        f"generation/render/{pair.candidate_id}/change/",
    ):
        desk.goto(f"/admin/{address}")
        assert desk.evaluate("document.documentElement.scrollWidth") <= width, address
        assert desk.evaluate(CUT_OFF) == [], address
