"""The batched sampler against the diffusers pipelines' own loops, on a CPU in float32."""

import random
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from generation.diffusion.alone import sample
from generation.diffusion.batching import Drawn, can_batch, sample_batched
from generation.diffusion.conditioning import PromptEncoder
from generation.diffusion.costs import CostMeter
from generation.diffusion.decoding import to_image
from generation.diffusion.noise import draw_noise
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import SamplingError
from generation.diffusion.slots import Sitter, SlotBatch
from generation.diffusion.timetables import tabulate
from tests.generation import tiny

# Largest difference of a latent from the pipeline's, relative to the latents' own size.
TOLERANCE = 1e-4
KINDS = [(family, scheduler, prediction) for family in ("sd", "sdxl")
         for scheduler in ("ddim", "dpmsolver++") for prediction in ("epsilon", "v_prediction")]


@cache
def pipeline_of(family: str, scheduler: str, prediction: str) -> Any:
    make = tiny.make_pipeline if family == "sd" else tiny.make_xl_pipeline
    return make(scheduler=scheduler, prediction=prediction)


@cache
def latent_alone(kind: tuple[str, str, str], recipe: Recipe) -> Tensor:
    pipeline = pipeline_of(*kind)
    return pipeline(recipe.prompt, num_inference_steps=recipe.num_steps,
                    guidance_scale=recipe.guidance, width=64, height=64,
                    latents=draw_noise(pipeline, recipe), output_type="latent").images


def make_recipe(**values: Any) -> Recipe:
    defaults: dict[str, Any] = {
        "source": "tiny", "revision": "", "prompt": "a red circle", "seed": 7, "num_steps": 3,
        "scheduler": "ddim", "guidance": 3.0, "width": 64, "height": 64,
    }
    return Recipe(**(defaults | values))


def latents_in_slots(pipeline: Any, recipes: list[Recipe], *, num_slots: int) -> list[Tensor]:
    """Each recipe's finished latent (1, C, h, w), out of one batch of a fixed shape."""
    encoder = PromptEncoder(pipeline)
    slots = SlotBatch(pipeline.unet, num_slots=num_slots,
                      unconditional=encoder.unconditional() if recipes[0].is_guided else None,
                      size_ids=encoder.size_ids(width=64, height=64))
    found: dict[int, Tensor] = {}
    waiting = list(enumerate(recipes))
    while waiting or slots.indexes():
        while waiting and slots.has_room():
            index, recipe = waiting.pop(0)
            slots.seat(Sitter(index, tabulate(pipeline.scheduler, recipe.num_steps),
                              recipe.guidance, encoder.encode(recipe.prompt),
                              draw_noise(pipeline, recipe)))
        found.update(slots.advance())
    return [found[index] for index in range(len(recipes))]


def sample_together(pipeline: Any, recipes: list[Recipe], **options: Any) -> dict[int, Any]:
    """What comes out of the sampler, by place in `recipes`; each place at most once."""
    defaults: dict[str, Any] = {"num_slots": 4, "meter": CostMeter()}
    found = list(sample_batched(pipeline, enumerate(recipes), **(defaults | options)))
    assert len(dict(found)) == len(found)
    return dict(found)


# Few are long, to be quick; 61 and 103 are those that diffusers rounds up, 129 is the paper's.
step_counts = st.one_of(st.integers(1, 20), st.integers(1, 129), st.sampled_from([61, 103, 129]))
recipes = st.builds(
    make_recipe, num_steps=step_counts, seed=st.integers(0, 5),
    prompt=st.sampled_from(["a red circle", "a blue star on a green background", ""]),
    guidance=st.sampled_from([1.5, 3.0, 7.5]),
)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
@given(workload=st.lists(recipes, min_size=1, max_size=4), num_slots=st.integers(1, 3))
@settings(max_examples=3, deadline=None)
def test_latents_equal_those_of_the_pipeline_alone(
    kind: tuple[str, str, str], workload: list[Recipe], num_slots: int
) -> None:
    together = latents_in_slots(pipeline_of(*kind), workload, num_slots=num_slots)
    for recipe, latent in zip(workload, together, strict=True):
        expected = latent_alone(kind, recipe)
        assert (latent - expected).abs().max() <= TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_latents_without_guidance_equal_those_of_the_pipeline_alone(
    kind: tuple[str, str, str]
) -> None:
    workload = [make_recipe(num_steps=steps, guidance=1.0) for steps in (5, 1, 9)]
    together = latents_in_slots(pipeline_of(*kind), workload, num_slots=2)
    for recipe, latent in zip(workload, together, strict=True):
        expected = latent_alone(kind, recipe)
        assert (latent - expected).abs().max() <= TOLERANCE * expected.abs().max()


@given(neighbours=st.lists(recipes, min_size=0, max_size=5), order=st.randoms())
@settings(max_examples=5, deadline=None)
def test_a_slots_bits_do_not_depend_on_its_neighbours(
    neighbours: list[Recipe], order: random.Random
) -> None:
    pipeline = pipeline_of("sd", "dpmsolver++", "epsilon")
    ours = make_recipe(num_steps=11, seed=99)
    order.shuffle(neighbours)
    [alone] = latents_in_slots(pipeline, [ours], num_slots=4)
    together = latents_in_slots(pipeline, [ours, *neighbours], num_slots=4)
    assert torch.equal(alone, together[0])


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_images_equal_those_of_the_pipeline_alone(kind: tuple[str, str, str]) -> None:
    pipeline = pipeline_of(*kind)
    workload = [make_recipe(num_steps=steps, seed=steps) for steps in (9, 2, 4, 1, 7, 3)]
    for index, outcome in sample_together(pipeline, workload).items():
        expected = np.asarray(sample(pipeline, workload[index]).image, dtype=int)
        difference = np.abs(np.asarray(to_image(outcome.pixels), dtype=int) - expected)
        assert difference.max() <= 1  # Where rounding to 8 bits tips over.
        assert (difference > 0).mean() < 1e-3


def test_xl_latents_with_a_mean_are_decoded_as_the_pipeline_does() -> None:
    pipeline = tiny.make_xl_pipeline(scheduler="ddim", latents_mean=[0.1, -0.2, 0.3, 0.0],
                                     latents_std=[2.0, 1.0, 0.5, 3.0])
    recipe = make_recipe()
    expected = np.asarray(sample(pipeline, recipe).image, dtype=int)
    [outcome] = sample_together(pipeline, [recipe]).values()
    assert np.abs(np.asarray(to_image(outcome.pixels), dtype=int) - expected).max() <= 1


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


def test_long_prompt_is_refused_and_its_neighbours_are_not() -> None:
    found = sample_together(pipeline_of("sd", "ddim", "epsilon"),
                            [make_recipe(), make_recipe(prompt="red circle " * 60)])
    assert isinstance(found[0], Drawn)
    assert "122 tokens" in str(found[1])


class _Failing:
    """Fails the UNet of a pipeline whenever `is_bad` says so of a call's latents."""

    def __init__(self, pipeline: Any, is_bad: Any, error: Exception) -> None:
        self._hook = pipeline.unet.register_forward_pre_hook(self._check)
        self._is_bad, self._error = is_bad, error

    def _check(self, _module: Any, args: tuple[Any, ...]) -> None:
        if self._is_bad(args[0]):
            raise self._error

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        self._hook.remove()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """A UNet call is one call, and not one for each core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def full_cpu() -> Exception:
    """What torch raises where a CPU's memory ends."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    return raised.value


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("error", [
    torch.OutOfMemoryError("full"), MemoryError(), full_cpu(),
], ids=["gpu", "python", "cpu"])
def test_out_of_memory_halves_the_batch_and_loses_nothing(error: Exception) -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    shrunk: list[int] = []
    workload = [make_recipe(num_steps=steps, seed=steps) for steps in (9, 2, 4, 1, 7, 3)]
    with _Failing(pipeline, lambda latents: len(latents) > 4, error):
        found = sample_together(pipeline, workload, num_slots=8, on_shrink=shrunk.append)
    assert shrunk == [4, 2]
    assert sorted(found) == list(range(6))
    for index, outcome in found.items():
        expected = sample_together(pipeline, [workload[index]], num_slots=2)[0]
        assert torch.allclose(outcome.pixels, expected.pixels, atol=1e-4)


def test_out_of_memory_for_a_single_image_says_what_to_change() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    with _Failing(pipeline, lambda latents: True, torch.OutOfMemoryError("full")):
        found = sample_together(pipeline, [make_recipe(), make_recipe()])
    assert all(isinstance(outcome, SamplingError) for outcome in found.values())
    assert "64 x 64" in str(found[0])
    assert "smaller" in str(found[0])


@pytest.mark.usefixtures("one_thread")
def test_an_image_that_breaks_its_batch_fails_alone() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    poison = draw_noise(pipeline, make_recipe(seed=666))[0]
    workload = [make_recipe(seed=1), make_recipe(seed=666), make_recipe(seed=2, num_steps=9)]

    def has_poison(latents: Tensor) -> bool:
        return any(torch.equal(latent, poison) for latent in latents)

    with _Failing(pipeline, has_poison, RuntimeError("boom")):
        found = sample_together(pipeline, workload)
    assert isinstance(found[0], Drawn)
    assert isinstance(found[2], Drawn)
    assert str(found[1]) == "RuntimeError: boom"


def test_errors_of_whoever_feeds_or_asks_are_not_swallowed() -> None:
    def unwanted(_indexes: Collection[int]) -> Collection[int]:
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):
        sample_together(pipeline_of("sd", "ddim", "epsilon"), [make_recipe()], unwanted=unwanted)


def test_values_that_are_no_numbers_fail_one_image_only() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    [outcome] = sample_together(pipeline, [make_recipe(guidance=float("1e38"))]).values()
    assert "not numbers" in str(outcome)


def test_only_linear_steps_of_known_pipelines_are_batched() -> None:
    assert can_batch(pipeline_of("sd", "ddim", "epsilon"))
    assert can_batch(pipeline_of("sdxl", "dpmsolver++", "v_prediction"))
    clipping = tiny.make_pipeline(scheduler="ddim")
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


def test_text_encoder_that_fails_fails_each_image_once() -> None:
    pipeline = tiny.make_pipeline(scheduler="ddim")

    def fail(*_: Any) -> None:
        raise RuntimeError("no text today")

    pipeline.text_encoder.register_forward_pre_hook(fail)
    found = sample_together(pipeline, [make_recipe(seed=seed) for seed in range(3)])
    assert [str(found[index]) for index in range(3)] == ["RuntimeError: no text today"] * 3


def test_autoencoder_out_of_memory_takes_fewer_and_keeps_the_latents() -> None:
    pipeline = pipeline_of("sd", "ddim", "epsilon")
    sizes: list[int] = []
    calls: list[int] = []

    def check(_module: Any, args: tuple[Any, ...]) -> None:
        sizes.append(len(args[0]))
        if len(args[0]) > 1:
            raise torch.OutOfMemoryError("full")

    hooks = [pipeline.vae.decoder.register_forward_pre_hook(check),
             pipeline.unet.register_forward_pre_hook(
                 lambda _module, args: calls.append(len(args[0])))]
    try:
        found = sample_together(pipeline, [make_recipe(seed=seed) for seed in range(4)])
    finally:
        for hook in hooks:
            hook.remove()
    assert all(isinstance(outcome, Drawn) for outcome in found.values())
    assert sorted(set(sizes)) == [1, 2, 4]
    # 3 steps of 4 images with guidance, in however many parts: no image was denoised twice.
    assert sum(calls) == 3 * 4 * 2


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
