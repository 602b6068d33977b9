"""The part of a study's page that says how far its images are."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from generation.models import Predictor, Render, RenderState
from studies.models import Pair, Study, StudyState
from tests import factories
from tests.studies.desk_pages import (
    make_ready_study,
)

pytestmark = pytest.mark.django_db


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
