"""How the batched sampler fills its slots, shares what it can and counts."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

from generation.diffusion.batching import Drawn, can_batch, sample_batched
from generation.diffusion.costs import CostMeter
from generation.diffusion.recipes import Recipe
from generation.diffusion.timetables import tabulate
from tests.generation.batches import pipeline_of, sample_together
from tests.generation.pipelines import make_pipeline, make_recipe


def test_cost_counts_every_evaluation_and_shares_the_time() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    found = sample_together(pipeline, [make_recipe(num_steps=steps) for steps in (2, 5, 9)])
    assert [found[index].unet_evaluations for index in range(3)] == [4, 10, 18]
    assert 0 < found[0].cost.seconds < found[1].cost.seconds < found[2].cost.seconds
    assert {outcome.num_slots for outcome in found.values()} == {4}
    unguided = sample_together(pipeline, [make_recipe(num_steps=5, guidance=0.0)])
    assert unguided[0].unet_evaluations == 5


def test_recipes_are_taken_only_when_a_slot_is_free() -> None:
    taken: list[int] = []

    def feed() -> Iterator[tuple[int, Recipe]]:
        for index in range(8):
            taken.append(index)
            yield index, make_recipe(num_steps=2 if index == 0 else 6)

    outcomes = sample_batched(pipeline_of("sd", "ddim", "epsilon"), feed(), num_slots=2,
                              meter=CostMeter())
    next(outcomes)
    assert taken[-1] <= 4


def test_every_unet_call_has_the_same_shape() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    shapes = []
    hook = pipeline.unet.register_forward_pre_hook(
        lambda _module, args: shapes.append(tuple(args[0].shape)))
    try:
        sample_together(pipeline, [make_recipe(num_steps=steps) for steps in (9, 1, 4, 2, 7)])
    finally:
        hook.remove()
    # On several cores a call is made in equal parts.
    assert len(set(shapes)) == 1
    assert sum(rows for rows, *_ in shapes) == 9 * 2 * 4


def test_a_prompt_is_encoded_once() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    calls = []
    hook = pipeline.text_encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        sample_together(pipeline, [make_recipe(seed=seed) for seed in range(6)])
    finally:
        hook.remove()
    assert len(calls) <= 3  # The empty prompt twice at most, by the pipeline's own function.


def test_unwanted_images_leave_at_the_next_step() -> None:
    asked: list[list[int]] = []

    def unwanted(indexes: Collection[int]) -> Collection[int]:
        asked.append(list(indexes))
        return [1] if len(asked) == 3 else []

    found = sample_together(pipeline_of("sd", "ddim", "epsilon"),
                            [make_recipe(num_steps=9), make_recipe(num_steps=50)],
                            unwanted=unwanted)
    assert set(found) == {0}
    assert [1 in indexes for indexes in asked[:4]] == [True, True, True, False]
    assert len(asked) == 9


def test_only_linear_steps_of_known_pipelines_are_batched() -> None:
    assert can_batch(pipeline_of("sd", "ddim", "epsilon"))
    assert can_batch(pipeline_of("sdxl", "dpmsolver++", "v_prediction"))
    clipping = make_pipeline(scheduler="ddim")
    clipping.scheduler = type(clipping.scheduler).from_config(
        clipping.scheduler.config, clip_sample=True)
    assert not can_batch(clipping)
    with pytest.raises(ValueError, match="not linear"):
        tabulate(clipping.scheduler, 5)


def test_more_steps_than_the_model_was_trained_on_are_refused() -> None:
    scheduler = pipeline_of("sd", "ddim", "epsilon").scheduler
    with pytest.raises(ValueError, match="1001"):
        tabulate(scheduler, 1001)
    with pytest.raises(ValueError, match="0"):
        tabulate(scheduler, 0)


def test_shape_grows_to_the_number_of_images_only() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    found = sample_together(pipeline, [make_recipe(seed=seed) for seed in range(3)], num_slots=16)
    assert {outcome.num_slots for outcome in found.values()} == {4}
    again = sample_together(pipeline, [replace(make_recipe(), num_steps=1)], num_slots=16)
    assert again[0].num_slots == 1


def test_a_finished_image_survives_when_all_others_are_dropped() -> None:
    asked: list[list[int]] = []

    def unwanted(indexes: Collection[int]) -> Collection[int]:
        asked.append(list(indexes))
        return indexes if len(asked) == 4 else []

    found = sample_together(pipeline_of("sd", "ddim", "epsilon"),
                            [make_recipe(num_steps=2), make_recipe(num_steps=50)],
                            unwanted=unwanted)
    assert list(found) == [0]
    assert isinstance(found[0], Drawn)
    assert asked[3] == [1]


def test_prompts_stay_encoded_from_one_run_to_the_next() -> None:
    pipeline = pipeline_of("sd", "dpmsolver++", "v_prediction")
    sample_together(pipeline, [make_recipe(prompt="a green ring")])
    calls: list[int] = []
    hook = pipeline.text_encoder.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        sample_together(pipeline, [make_recipe(prompt="a green ring", seed=8)])
    finally:
        hook.remove()
    assert not calls


def test_time_of_whoever_is_asked_is_no_images_cost() -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.001
        return now[0]

    def unwanted(_indexes: Collection[int]) -> Collection[int]:
        now[0] += 100
        return []

    found = sample_together(pipeline_of("sd", "ddim", "epsilon"), [make_recipe()],
                            meter=CostMeter(clock=clock), unwanted=unwanted)
    assert found[0].cost.seconds < 1
