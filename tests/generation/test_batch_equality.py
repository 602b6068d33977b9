"""The batched sampler against the diffusers pipelines' own loops, on a CPU in float32."""

import random
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from generation.diffusion.alone import sample
from generation.diffusion.conditioning import PromptEncoder
from generation.diffusion.decoding import to_image
from generation.diffusion.noise import draw_noise
from generation.diffusion.recipes import Recipe
from generation.diffusion.slots import Sitter, SlotBatch
from generation.diffusion.timetables import tabulate
from tests.generation.batches import pipeline_of, sample_together
from tests.generation.pipelines import make_recipe, make_xl_pipeline

# Largest difference of a latent from the pipeline's, relative to the latents' own size.
TOLERANCE = 1e-4
KINDS = [(family, scheduler, prediction) for family in ("sd", "sdxl")
         for scheduler in ("ddim", "dpmsolver++") for prediction in ("epsilon", "v_prediction")]


@cache
def latent_alone(kind: tuple[str, str, str], recipe: Recipe) -> Tensor:
    pipeline = pipeline_of(*kind)
    return pipeline(recipe.prompt, num_inference_steps=recipe.num_steps,
                    guidance_scale=recipe.guidance, width=16, height=16,
                    latents=draw_noise(pipeline, recipe), output_type="latent").images


def latents_in_slots(pipeline: Any, recipes: list[Recipe], *, num_slots: int) -> list[Tensor]:
    """Each recipe's finished latent (1, C, h, w), out of one batch of a fixed shape."""
    encoder = PromptEncoder(pipeline)
    slots = SlotBatch(pipeline.unet, num_slots=num_slots,
                      unconditional=encoder.unconditional() if recipes[0].is_guided else None,
                      size_ids=encoder.size_ids(width=16, height=16))
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
    workload = [make_recipe(num_steps=steps, seed=steps, width=64, height=64)
                for steps in (9, 2, 4, 1, 7, 3)]
    for index, outcome in sample_together(pipeline, workload).items():
        expected = np.asarray(sample(pipeline, workload[index]).image, dtype=int)
        difference = np.abs(np.asarray(to_image(outcome.pixels), dtype=int) - expected)
        assert difference.max() <= 1  # Where rounding to 8 bits tips over.
        assert (difference > 0).mean() < 1e-3


def test_xl_latents_with_a_mean_are_decoded_as_the_pipeline_does() -> None:
    pipeline = make_xl_pipeline(scheduler="ddim", latents_mean=[0.1, -0.2, 0.3, 0.0],
                                     latents_std=[2.0, 1.0, 0.5, 3.0])
    recipe = make_recipe()
    expected = np.asarray(sample(pipeline, recipe).image, dtype=int)
    [outcome] = sample_together(pipeline, [recipe]).values()
    assert np.abs(np.asarray(to_image(outcome.pixels), dtype=int) - expected).max() <= 1
