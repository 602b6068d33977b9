"""The pairs of a study's catch trials."""

from typing import Any

import pytest

from generation.models import Render
from studies.desk import preparation, progress, services
from studies.models import Pair, Study, StudyState, Task
from tests.studies.preparing import (
    make_preparing,
    predicting,
    prepared,
)

pytestmark = pytest.mark.django_db


def catch_steps_of(study: Study) -> dict[int, tuple[int, int]]:
    """Steps of both images of each catch pair, by the prompt's place."""
    pairs = Pair.objects.filter(contrast__study=study, contrast__is_catch=True)
    return {seed - 1000: (candidate, baseline) for seed, candidate, baseline in pairs.values_list(
        "seed", "candidate__num_steps", "baseline__num_steps")}


def with_catch(*steps: int, **design: Any) -> Study:
    return prepared(*steps, **{"catch_percent": 10, "main_trials": 10, "practice_trials": 0}
                    | design)


def test_catch_pairs_spread_over_the_list_and_share_its_references() -> None:
    study = with_catch(*[8] * 12)
    assert study.num_catch_trials() == 1
    assert catch_steps_of(study) == {1: (1, 50), 5: (1, 50), 9: (1, 50)}
    contrast = study.contrasts.catch().get()
    assert str(contrast) == "fixed(1) against reference"
    references = {pair.baseline_id for pair in contrast.pairs.all()}
    main = study.contrasts.compared().get()
    assert references < {pair.baseline_id for pair in main.pairs.all()}
    assert Render.objects.count() == 12 + 12 + 3


def test_a_short_list_gives_every_prompt_a_catch_pair() -> None:
    study = with_catch(8, 9, main_trials=2, catch_percent=50)
    assert catch_steps_of(study) == {1: (1, 50), 2: (1, 50)}


def test_practice_has_catch_pairs_where_there_are_too_few_trials_for_a_catch_trial() -> None:
    study = with_catch(*[8] * 6, main_trials=4, practice_trials=2)
    assert study.num_catch_trials() == 0
    assert len(catch_steps_of(study)) == 2


def test_a_contrast_like_the_catch_pairs_stays_apart_from_them() -> None:
    study = with_catch(*[8] * 4, contrasts=[("fixed(1)", "reference")])
    assert study.contrasts.compared().get().pairs.count() == 4
    assert len(catch_steps_of(study)) == 3
    assert Render.objects.count() == 8


def test_the_similarity_task_shows_a_reference_in_catch_pairs_too() -> None:
    study = with_catch(*[8] * 3, task=Task.SIMILARITY)
    for pair in study.contrasts.catch().get().pairs.all():
        assert pair.reference == pair.baseline


def prepare_again(study: Study, *steps: int, **design: int) -> None:
    Study.objects.filter(pk=study.pk).update(**design)
    for pk in preparation.stalled():
        preparation.prepare_study(pk, predict=predicting(*steps))
    study.refresh_from_db()


@pytest.mark.parametrize(("design", "expected"), [
    ({"catch_steps": 3}, {1: (3, 50), 5: (3, 50), 9: (3, 50)}),
    ({"main_trials": 20}, dict.fromkeys((1, 3, 5, 7, 9, 11), (1, 50))),
    ({"catch_percent": 0}, {}),
])
def test_changed_catch_trials_are_made_anew_and_other_pairs_stay(
    design: dict[str, int], expected: dict[int, tuple[int, int]]
) -> None:
    study = with_catch(*[8] * 12)
    main = set(Pair.objects.filter(contrast__is_catch=False).values_list("pk", flat=True))
    assert preparation.stalled() == []
    prepare_again(study, *[8] * 12, **design)
    assert catch_steps_of(study) == expected
    assert set(Pair.objects.filter(contrast__is_catch=False).values_list("pk", flat=True)) == main
    assert study.contrasts.catch().exists() is bool(expected)
    assert preparation.stalled() == []


def test_a_bad_image_as_good_as_the_reference_is_refused() -> None:
    with pytest.raises(services.StudyNotReady, match="Lower “Steps of the bad image” below 50"):
        make_preparing(8, catch_percent=10, catch_steps=50)
    study = with_catch(*[8] * 12)
    prepare_again(study, *[8] * 12, catch_steps=60)
    assert study.state == StudyState.DRAFT
    assert "would have 60 steps and the good one 50" in study.preparation_error


def test_progress_counts_catch_pairs_apart_and_renders_all() -> None:
    study = with_catch(*[8] * 12)
    shown = progress.study_progress(study)
    assert (shown.pairs_total, shown.catch_total, shown.catch_ready) == (12, 3, 0)
    assert shown.renders.waiting == 27
    assert [row.pairs for row in shown.contrasts] == [12]
    assert {pair.contrast.is_catch for pair in shown.gallery} <= {False}
