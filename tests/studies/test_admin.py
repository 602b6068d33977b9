"""The desk's pages through Django's client."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.db.models import CheckConstraint
from django.forms import modelform_factory
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from generation.models import Predictor, Render, RenderState
from generation.scenes.captions import Scene, Thing
from generation.scenes.tokenizer import build_tokenizer
from studies.desk import services
from studies.desk.dashboard import add_next_steps
from studies.desk.forms import EXAMPLE
from studies.models import Contrast, Pair, SessionState, Study, StudySession, StudyState
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def predictor_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A predictor's tokenizer, without its weights."""
    folder = tmp_path_factory.mktemp("predictor")
    build_tokenizer().backend_tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"max_tokens": 12}))
    return folder


@pytest.fixture
def predictor(predictor_folder: Path) -> Predictor:
    return factories.make_predictor(source=str(predictor_folder))


@pytest.fixture
def desk(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("eva"))
    return client


def design(predictor: Predictor, **values: Any) -> dict[str, Any]:
    """The study form as the browser sends it."""
    return {
        "name": "Colours", "task": "preference", "question": "Which image do you prefer?",
        "model": predictor.model_id, "predictor": predictor.pk, "main_trials": 2,
        "practice_trials": 1, "contrasts-TOTAL_FORMS": 1, "contrasts-INITIAL_FORMS": 0,
        "contrasts-MIN_NUM_FORMS": 1, "contrasts-MAX_NUM_FORMS": 1000,
        "contrasts-0-candidate_arm_rule": "budgeted", "contrasts-0-candidate_arm_steps": "",
        "contrasts-0-baseline_arm_rule": "reference", "contrasts-0-baseline_arm_steps": "",
    } | values


def upload(content: str | bytes, name: str = "prompts.txt") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode())


def page(study: Study) -> str:
    return reverse("admin:studies_study_change", args=[study.pk])


ADD_STUDY = "/admin/studies/study/add/"
ADD_SESSION = "/admin/studies/studysession/add/"


# --- Studies ----------------------------------------------------------------------------------


def test_the_new_study_form_comes_filled_in(desk: Client, predictor: Predictor) -> None:
    content = desk.get(ADD_STUDY).content.decode()
    assert f'<option value="{predictor.pk}" selected>' in content
    assert content.count("Leave it blank for the standard text.") == 4
    assert '<option value="budgeted" selected>' in content


def test_a_study_is_made_from_a_prompt_file(desk: Client, predictor: Predictor) -> None:
    data = design(predictor, prompt_file=upload("a red circle\na blue square\n\na red circle\n"))
    response = desk.post(ADD_STUDY, data, follow=True)
    study = Study.objects.get()
    assert response.redirect_chain[-1][0] == page(study)
    assert [str(row) for row in study.study_prompts.all()] == ["a red circle", "a blue square"]
    assert str(study.contrasts.get()) == "budgeted against reference"
    content = response.content.decode()
    assert "2 prompts were read from prompts.txt." in content
    assert "1 line repeats an earlier prompt, which is kept once: 4 (as 1)." in content
    assert "Still missing before a session can open" in content
    assert "Press “Prepare images”" in content


@pytest.mark.parametrize(("content", "name", "expected"), [
    (b"", "prompts.txt", ["The submitted file is empty."]),
    (b"\n \n", "prompts.txt", ["prompts.txt is empty"]),
    ("café".encode("latin-1"), "prompts.txt", ["not UTF-8: byte 4, on line 1"]),
    (b"a red circle\nbad\0\n" + b"red " * 20 + b"\n", "prompts.txt",
     ["prompts.txt, line 2: contains a NUL", "prompts.txt, line 3: 22 tokens long, the model reads "
      "at most 12"]),
    (b"text\na red circle\n", "prompts.csv", ["no column “prompt”"]),
    (b"bad\0\n" * 250, "prompts.txt", ["prompts.txt, line 200:", "… and 50 more rows."]),
])
def test_a_bad_prompt_file_is_refused_beside_its_field(
    desk: Client, predictor: Predictor, content: bytes, name: str, expected: list[str]
) -> None:
    response = desk.post(ADD_STUDY, design(predictor, prompt_file=upload(content, name)))
    errors = " ".join(response.context["adminform"].form.errors["prompt_file"])
    for sentence in expected:
        assert sentence in errors
    assert not Study.objects.exists()


def test_a_predictor_without_its_files_is_said_in_the_form(desk: Client) -> None:
    predictor = factories.make_predictor(source="/nowhere/at/all")
    response = desk.post(ADD_STUDY, design(predictor, prompt_file=upload("a red circle")))
    assert "/nowhere/at/all holds no tokenizer.json" in response.content.decode()
    assert not Study.objects.exists()


def test_a_predictor_for_another_model_is_refused(desk: Client, predictor: Predictor) -> None:
    other = factories.make_model(name="Another")
    response = desk.post(ADD_STUDY, design(predictor, model=other.pk))
    assert "Choose one made for “Another”" in response.content.decode()


@pytest.mark.parametrize(("values", "expected"), [
    ({"contrasts-0-baseline_arm_rule": "budgeted"}, "Both arms are the same"),
    ({"contrasts-0-candidate_arm_rule": "fixed"}, "A fixed arm needs its number of steps"),
    ({"contrasts-0-candidate_arm_rule": "fixed", "contrasts-0-candidate_arm_steps": "51"},
     "has 50 steps at most, not 51"),
    ({"contrasts-0-candidate_arm_rule": "fixed", "contrasts-0-candidate_arm_steps": "0"},
     "greater than or equal to 1"),
    ({"contrasts-0-candidate_arm_rule": "sideways"}, "is not one of the available choices"),
    ({"contrasts-TOTAL_FORMS": 2, "contrasts-1-candidate_arm_rule": "budgeted",
      "contrasts-1-baseline_arm_rule": "reference"}, "This comparison is there twice"),
])
def test_a_comparison_that_cannot_be_made_is_refused(
    desk: Client, predictor: Predictor, values: dict[str, Any], expected: str
) -> None:
    response = desk.post(ADD_STUDY, design(predictor, **values))
    assert response.status_code == 200
    assert expected in response.content.decode()
    assert not Study.objects.exists()


def test_no_main_trial_and_no_participant_are_refused_in_words(
    desk: Client, predictor: Predictor
) -> None:
    content = desk.post(ADD_STUDY, design(predictor, main_trials=0)).content.decode()
    assert "A participant needs at least 1 main trial. Raise “main trials”." in content
    assert not Study.objects.exists()
    content = desk.post(ADD_SESSION, {"study": make_ready_study().pk, "name": "Wave",
                                      "quota": 0}).content.decode()
    assert "At least 1 participant must be able to join. Raise “quota”." in content
    assert not StudySession.objects.exists()


def test_every_rule_that_a_form_can_break_is_worded_for_people() -> None:
    for model in (Study, StudySession, Contrast):
        fields = set(modelform_factory(model, fields="__all__").base_fields)
        for rule in model._meta.constraints:
            condition: Any = getattr(rule, "condition", None)
            if isinstance(rule, CheckConstraint) and condition.referenced_base_fields & (
                fields - {"state"}  # Which no form asks for.
            ):
                assert rule.violation_error_message != rule.default_violation_error_message, rule


def test_a_fixed_arm_is_stored_and_shown_again(desk: Client, predictor: Predictor) -> None:
    desk.post(ADD_STUDY, design(predictor, **{"contrasts-0-candidate_arm_rule": "fixed",
                                              "contrasts-0-candidate_arm_steps": "12"}))
    study = Study.objects.get()
    assert study.contrasts.get().candidate_arm == "fixed(12)"
    content = desk.get(page(study)).content.decode()
    assert '<option value="fixed" selected>' in content
    assert 'value="12"' in content


QUESTIONS = {"preference": "Which image do you prefer?",
             "similarity": "Which image is closer to the one above?"}


@pytest.mark.parametrize("asked", [*QUESTIONS.values(), "Which one is sharper?"])
@pytest.mark.parametrize("task", QUESTIONS)
def test_a_task_brings_its_question_in_place_of_another_task_s(
    desk: Client, predictor: Predictor, task: str, asked: str
) -> None:
    desk.post(ADD_STUDY, design(predictor, task=task, question=asked))
    assert Study.objects.get().question == (
        QUESTIONS[task] if asked in QUESTIONS.values() else asked)


def test_a_study_made_from_the_form_as_it_comes_has_no_texts_of_another_task(
    desk: Client, predictor: Predictor
) -> None:
    initial = desk.get(ADD_STUDY).context["adminform"].form.initial
    texts = {name: value for name, value in initial.items() if name.endswith("_text") and value}
    assert texts == {}


def make_ready_study(predictor: Predictor | None = None) -> Study:
    study = factories.make_study(name="Colours", main_trials=2, state=StudyState.PREPARING,
                                 predictor=predictor or factories.make_predictor())
    contrast = factories.make_contrast(study=study)
    for position in (1, 2):
        pair = factories.make_ready_pair(contrast=contrast)
        study.study_prompts.create(prompt=pair.prompt, position=position)
        factories.make_budget(prompt=pair.prompt, predictor=study.predictor, num_steps=8)
    return study


def saved_design(study: Study, **values: Any) -> dict[str, Any]:
    contrast = study.contrasts.get()
    return design(study.predictor, **{
        "contrasts-INITIAL_FORMS": 1, "contrasts-0-id": contrast.pk,
        "contrasts-0-study": study.pk} | values)


def test_a_new_text_keeps_the_pairs_and_a_new_comparison_discards_them(
    desk: Client, predictor: Predictor
) -> None:
    study = make_ready_study(predictor)
    desk.post(page(study), saved_design(study, welcome_text="Hello"))
    assert Pair.objects.count() == 2
    response = desk.post(page(study), saved_design(
        study, **{"contrasts-0-candidate_arm_rule": "uniform"}), follow=True)
    assert "images must be prepared again" in response.content.decode()
    assert not Pair.objects.exists()
    study.refresh_from_db()
    assert study.state == StudyState.DRAFT


def test_prepare_is_a_post_and_says_what_is_missing(desk: Client, predictor: Predictor) -> None:
    study = factories.make_study(predictor=predictor)
    address = reverse("admin:studies_study_prepare", args=[study.pk])
    assert desk.get(address).status_code == 405
    content = desk.post(address, follow=True).content.decode()
    assert "The study has no prompts. Upload a prompt file." in content
    study.study_prompts.create(prompt=factories.make_prompt(), position=1)
    factories.make_contrast(study=study)
    content = desk.post(address, follow=True).content.decode()
    assert "Predicting a budget of steps" in content
    assert "not prepared. Press" not in content
    study.refresh_from_db()
    assert study.state == StudyState.PREPARING


def test_the_page_shows_budgets_images_and_failures(desk: Client) -> None:
    study = make_ready_study()
    pair = Pair.objects.filter(contrast__study=study).first()
    assert pair is not None
    failed = factories.make_render(model=study.model, prompt=pair.prompt, num_steps=3, seed=9,
                                   state=RenderState.QUARANTINED, error="out of memory")
    Pair.objects.create(contrast=study.contrasts.get(), prompt=pair.prompt, seed=9,
                        candidate=failed, baseline=pair.baseline)
    content = desk.get(reverse("admin:studies_study_progress", args=[study.pk])).content.decode()
    assert "4 of 5" in content
    assert "at 3 steps failed:</strong> out of memory" in content
    assert "2 prompts: 8 to 8 steps" in content
    assert reverse("admin:generation_render_image", args=[pair.candidate.public_id]) in content
    response = desk.post(reverse("admin:studies_study_retry", args=[study.pk]), follow=True)
    assert "1 failed image is tried again." in response.content.decode()
    failed.refresh_from_db()
    assert failed.state == RenderState.PENDING


def test_the_page_is_kind_about_cancelled_images(desk: Client) -> None:
    study = make_ready_study()
    renders = Render.objects.filter(model=study.model)
    renders.filter(pk=renders.order_by("pk")[0].pk).update(state=RenderState.CANCELLED)
    address = reverse("admin:studies_study_progress", args=[study.pk])
    content = desk.get(address).content.decode()
    assert "1 image was cancelled, so its pair is not shown. Nothing is broken" in content
    assert "Try the failed images again" in content.split("press “Try the failed")[1]


def fragment(desk: Client, study: Study) -> str:
    """The part of the study's page that moves, on one line."""
    content = desk.get(reverse("admin:studies_study_progress", args=[study.pk])).content.decode()
    return re.sub(r"\s+", " ", content)


def add_pair(study: Study, *, state: str = RenderState.PENDING, error: str = "") -> Pair:
    prompt = factories.make_prompt()
    return Pair.objects.create(
        contrast=study.contrasts.get(), prompt=prompt, seed=1,
        candidate=factories.make_render(model=study.model, prompt=prompt, state=state, error=error),
        baseline=factories.make_render(model=study.model, prompt=prompt, num_steps=50, state=state,
                                       error=error))


def main_buttons(content: str) -> list[str]:
    """The text of what the page recommends to press."""
    return re.findall(r'class="[^"]*desk-button-main"[^>]*>\s*([^<]*?)\s*<', content)


def test_the_page_says_one_thing_at_each_moment_and_recommends_what_comes_next(
    desk: Client, predictor: Predictor
) -> None:
    study = factories.make_study(predictor=predictor, main_trials=2, num_prompts=1)
    contrast = factories.make_contrast(study=study)
    content = fragment(desk, study)
    assert "The images are not prepared" in content
    assert main_buttons(content) == ["Prepare images"]
    assert "Open a session" not in content

    content = desk.post(reverse("admin:studies_study_prepare", args=[study.pk]),
                        follow=True).content.decode()
    assert "Predicting a budget of steps" in content
    assert "not prepared. Press" not in content
    assert "Still missing" not in content
    assert main_buttons(content) == []

    add_pair(study)
    factories.make_ready_pair(contrast=contrast)
    content = fragment(desk, study)
    assert "only 1 pair of 2 is ready. Wait for rendering" in content
    assert "Predicting" not in content.replace("data-milestone", "")
    assert main_buttons(content) == []
    assert "Open a session" not in content

    factories.make_ready_pair(contrast=contrast)
    content = fragment(desk, study)
    assert "2 of 3 pairs are ready, enough for the 2 main trials" in content
    assert "Everything is there" not in content
    assert main_buttons(content) == ["Open a session"]

    Pair.objects.filter(candidate__state=RenderState.PENDING).delete()
    content = fragment(desk, study)
    assert "Everything is there: a session can open." in content
    assert main_buttons(content) == ["Open a session"]


def test_images_that_failed_alike_are_one_card_that_says_how_many_and_what_to_do(
    desk: Client, predictor: Predictor
) -> None:
    study = factories.make_study(predictor=predictor, main_trials=2, num_prompts=1,
                                 state=StudyState.PREPARING)
    factories.make_contrast(study=study)
    for _ in range(6):
        add_pair(study, state=RenderState.QUARANTINED, error="unet is damaged")
    content = fragment(desk, study)
    assert content.count("unet is damaged") == 1
    assert "12 images failed, all for this reason:</strong> unet is damaged" in content
    assert "6 pairs wait for an image that failed or was cancelled: try the failed" in content
    assert "Wait for rendering" not in content
    assert main_buttons(content) == ["Try the failed images again"]


def test_two_looks_at_an_unchanged_study_are_the_same(desk: Client) -> None:
    study = make_ready_study()
    assert fragment(desk, study) == fragment(desk, study)


def test_a_launched_study_can_be_read_but_not_changed(desk: Client) -> None:
    study = make_ready_study()
    desk.post(ADD_SESSION, {"study": study.pk, "name": "Wave", "quota": 5, "is_opened_now": "on"})
    study.refresh_from_db()
    content = desk.get(page(study)).content.decode()
    assert "can no longer change" in content
    assert study.content_hash in content
    assert 'name="question"' not in content
    assert 'name="prompt_file"' not in content
    assert 'name="contrasts-0-candidate_arm_rule"' not in content
    assert "budgeted" in content
    assert desk.post(page(study), saved_design(study, question="Other?")).status_code == 403
    study.refresh_from_db()
    assert study.question == "Which image do you prefer?"
    assert desk.post(f"/admin/studies/study/{study.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_launched_study_is_shown_in_the_words_of_a_draft_without_advice_to_fill_it_in(
    desk: Client,
) -> None:
    study = make_ready_study()
    draft = desk.get(page(study)).content.decode()
    services.open_session(StudySession.objects.create(study=study, name="Wave"))
    launched = desk.get(page(study)).content.decode()
    assert "Leave it blank" in draft
    assert "Leave it blank" not in launched
    for content in (draft, launched):
        assert "ompared with" in content
        assert "aseline arm" not in content


def test_dates_are_shown_in_one_way_with_their_zone(desk: Client) -> None:
    session = factories.make_open_session(num_pairs=1)
    content = desk.get(reverse("admin:studies_studysession_change",
                               args=[session.pk])).content.decode()
    said = session.opened_at.strftime("%H:%M UTC")  # type: ignore[union-attr]
    assert content.count(said) == 2  # Above, and among the fields.


def test_the_prompt_file_field_shows_what_the_embedded_model_reads(desk: Client) -> None:
    left = Thing("left", "large", "dotted", "red", "circle")
    right = Thing("right", "small", "plain", "white", "star")
    assert Scene("blue", "striped", (left, right)).caption() == EXAMPLE
    assert EXAMPLE in desk.get(ADD_STUDY).content.decode()


def test_empty_lists_advise_only_what_can_be_done(desk: Client) -> None:
    recorded = desk.get(reverse("admin:studies_trial_changelist")).content.decode()
    assert "There are no trials yet." in recorded
    assert "Add trial" not in recorded
    assert "There are no studies yet." in desk.get(
        reverse("admin:studies_study_changelist")).content.decode()
    searched = desk.get(reverse("admin:studies_study_changelist"), {"q": "x"}).content.decode()
    assert "Nothing here matches." in searched


def test_breadcrumbs_begin_with_the_list(desk: Client) -> None:
    content = re.sub(r"\s+", " ", desk.get(page(make_ready_study())).content.decode())
    crumbs = re.findall(r'class="desk-crumb[^>]*> ([^<]*?) <', content)
    assert crumbs == ["Studies", "Colours"]


def test_a_prepared_draft_can_be_deleted_whole(desk: Client) -> None:
    study = make_ready_study()
    desk.post(f"/admin/studies/study/{study.pk}/delete/", {"post": "yes"})
    assert not Study.objects.exists()
    assert not Pair.objects.exists()


# --- Sessions ---------------------------------------------------------------------------------


def test_a_session_is_opened_shown_and_closed(desk: Client) -> None:
    study = make_ready_study()
    assert 'value="Session 1"' in desk.get(f"{ADD_SESSION}?study={study.pk}").content.decode()
    response = desk.post(ADD_SESSION, {"study": study.pk, "name": "Session 1", "quota": 5,
                                       "is_opened_now": "on"}, follow=True)
    session = StudySession.objects.get()
    assert session.state == SessionState.OPEN
    assert f"http://testserver/join/{session.public_id}/" in response.content.decode()
    assert "0 of 5" in response.content.decode()
    for name, said in (("close", "The session is closed"), ("open", "The session is open")):
        address = reverse(f"admin:studies_studysession_{name}", args=[session.pk])
        assert said in desk.post(address, follow=True).content.decode()


def test_a_study_that_cannot_run_is_refused_in_the_session_form(desk: Client) -> None:
    study = make_ready_study()
    study.main_trials = 20
    study.save(update_fields=["main_trials"])
    values = {"study": study.pk, "name": "Session 1", "quota": 5}
    response = desk.post(ADD_SESSION, {**values, "is_opened_now": "on"})
    assert ("The study asks for 20 trials per participant, but only 2 pairs of 2 are ready."
            in response.content.decode())
    assert not StudySession.objects.exists()
    desk.post(ADD_SESSION, values)
    session = StudySession.objects.get()
    response = desk.post(reverse("admin:studies_studysession_open", args=[session.pk]), follow=True)
    assert "asks for 20 trials" in response.content.decode()
    session.refresh_from_db()
    assert session.state == SessionState.DRAFT


def test_a_session_closed_while_its_form_was_saved_stays_closed(desk: Client) -> None:
    session = factories.make_open_session(num_pairs=1)
    stale = StudySession.objects.get(pk=session.pk)
    request = RequestFactory().post("/")
    request.user = User.objects.get()
    session_admin = admin.site.get_model_admin(StudySession)
    form = session_admin.get_form(request, stale, change=True)(
        {"name": session.name, "quota": 7}, instance=stale)
    assert form.is_valid(), form.errors
    services.close_session(session)
    session_admin.save_model(request, form.save(commit=False), form, change=True)
    session.refresh_from_db()
    assert (session.state, session.quota) == (SessionState.CLOSED, 7)
    assert session.closed_at is not None


def test_a_session_s_form_changes_its_quota(desk: Client) -> None:
    session = factories.make_open_session(num_pairs=1)
    address = reverse("admin:studies_studysession_change", args=[session.pk])
    assert desk.post(address, {"name": "Wave 2", "quota": 9}).status_code == 302
    session.refresh_from_db()
    assert (session.name, session.quota, session.state) == ("Wave 2", 9, SessionState.OPEN)


# --- Everything else --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["participant", "trial", "response"])
def test_recorded_data_are_read_only(desk: Client, name: str) -> None:
    participant = factories.make_participant()
    pair = participant.session.study.contrasts.get().pairs.first()
    trial = factories.make_trial(participant=participant, pair=pair)
    rows = {"participant": participant, "trial": trial,
            "response": factories.make_response(trial=trial)}
    listing = reverse(f"admin:studies_{name}_changelist")
    row = reverse(f"admin:studies_{name}_change", args=[rows[name].pk])
    assert desk.get(listing).status_code == 200
    content = desk.get(row).content.decode()
    assert 'name="_save"' not in content
    assert str(participant.token) not in content
    assert desk.post(row, {}).status_code == 403
    assert desk.get(reverse(f"admin:studies_{name}_add")).status_code == 403
    assert desk.post(reverse(f"admin:studies_{name}_delete", args=[rows[name].pk]),
                     {"post": "yes"}).status_code == 403


def test_the_first_page_says_what_to_do_next(desk: Client) -> None:
    content = desk.get("/admin/").content.decode()
    assert ADD_STUDY in content
    assert "Latest studies" not in content
    study = make_ready_study()
    content = desk.get("/admin/").content.decode()
    assert page(study) in content
    assert reverse("results", args=[study.public_id]) in content


def test_the_lists_are_read_in_a_bounded_number_of_queries(
    desk: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(6):
        factories.make_open_session(num_pairs=1)
    for name in ("study", "studysession"):
        with django_assert_max_num_queries(10):
            desk.get(reverse(f"admin:studies_{name}_changelist"))


@pytest.mark.parametrize("name", ["participant", "trial", "response"])
def test_lists_of_records_take_as_many_queries_for_many_sessions(desk: Client, name: str) -> None:
    def num_queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert desk.get(address).status_code == 200
        return len(captured)

    address = reverse(f"admin:studies_{name}_changelist")
    factories.make_open_session(num_pairs=1)
    factories.make_open_session(num_pairs=1)
    before = num_queries()
    session = factories.make_open_session(num_pairs=1)
    factories.make_open_session(num_pairs=1)
    assert num_queries() == before
    assert f"{session.study}: {session.name}" in desk.get(address).content.decode()


def test_the_first_page_counts_prompts_sessions_and_people_apart() -> None:
    session = factories.make_open_session(num_pairs=3)
    factories.make_open_session(num_pairs=0, study=factories.make_study())
    StudySession.objects.create(study=session.study, name="Another", state="open", opened_at=now())
    for _ in range(2):
        factories.make_participant(session=session, state="finished", finished_at=now(),
                                   completion_code="DONE")
    factories.make_participant(session=session)
    request = RequestFactory().get("/")
    request.user = User.objects.create_superuser("eva")
    rows = add_next_steps(request, {})["studies"]
    assert [(row.num_prompts, row.num_open, row.num_finished) for row in rows] == [
        (0, 1, 0), (3, 2, 2)]


def test_only_the_admin_may_evaluate_scripts(desk: Client) -> None:
    policy = desk.get("/admin/").headers["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "default-src 'none'" in policy
    for address in ("/healthz", f"/join/{factories.make_open_session(num_pairs=1).public_id}/"):
        assert "unsafe" not in desk.get(address).headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["progress", "prepare", "retry"])
def test_staff_without_permission_see_and_do_nothing(client: Client, name: str) -> None:
    study = make_ready_study()
    address = reverse(f"admin:studies_study_{name}", args=[study.pk])
    method = client.get if name == "progress" else client.post
    assert method(address).status_code == 302
    user = User.objects.create_user("ina", is_staff=True)
    client.force_login(user)
    assert method(address).status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_study"))
    assert method(address).status_code == (200 if name == "progress" else 403)
