"""Sampling on a real pipeline, untrained: the numbers count, not the pictures."""

import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from generation.diffusion.alone import sample
from generation.diffusion.folders import PipelineError
from generation.diffusion.noise import draw_noise
from generation.diffusion.pipelines import choose_device, load_pipeline
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError
from generation.diffusion.sampling import sample_all
from generation.diffusion.schedulers import build_scheduler


@pytest.fixture
def recipe(pipeline_folder: Path) -> Recipe:
    return Recipe(source=str(pipeline_folder), revision="", prompt="a red circle", seed=7,
                  num_steps=3, scheduler="ddim", guidance=3.0, width=128, height=128)


def load(recipe: Recipe) -> Any:
    return load_pipeline(recipe.source, "", scheduler=recipe.scheduler, device="cpu")


def only(recipe: Recipe) -> Sampled | SamplingError:
    [(index, outcome)] = sample_all([recipe], device="cpu")
    assert index == 0
    return outcome


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
@pytest.mark.parametrize("num_steps", [1, 7])
def test_image_equals_the_pipelines_own(
    pipeline_folder: Path, recipe: Recipe, scheduler: str, num_steps: int
) -> None:
    recipe = replace(recipe, scheduler=scheduler, num_steps=num_steps)
    alone = StableDiffusionPipeline.from_pretrained(pipeline_folder, safety_checker=None)
    alone.scheduler = build_scheduler(scheduler, alone.scheduler.config)
    expected = alone(recipe.prompt, num_inference_steps=num_steps, guidance_scale=3.0,
                     generator=torch.Generator("cpu").manual_seed(7), output_type="np").images[0]
    image = np.asarray(sample(load(recipe), recipe).image, dtype=float) / 255
    # Half a grey level from rounding to 8 bits, the rest from the memory layout.
    assert np.abs(image - expected).max() <= 0.5 / 255 + 1e-4


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_guided_step_costs_two_evaluations_and_an_unguided_one(
    recipe: Recipe, scheduler: str
) -> None:
    guided = replace(recipe, scheduler=scheduler)
    unguided = replace(guided, guidance=1.0)
    assert sample(load(guided), guided).unet_evaluations == 2 * 3
    assert sample(load(unguided), unguided).unet_evaluations == 3


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_every_step_count_starts_from_the_same_timestep_and_is_kept(
    recipe: Recipe, scheduler: str
) -> None:
    pipeline = load(replace(recipe, scheduler=scheduler))
    for num_steps in range(1, 130):  # Diffusers makes 62 steps of 61, and 104 of 103.
        pipeline.scheduler.set_timesteps(num_steps)
        timesteps = pipeline.scheduler.timesteps
        assert timesteps[0] == 999
        assert timesteps[-1] >= 0
        assert len(timesteps) == num_steps


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_a_step_count_that_rounds_badly_costs_what_it_says(recipe: Recipe, scheduler: str) -> None:
    recipe = replace(recipe, scheduler=scheduler, num_steps=61, guidance=1.0)
    assert sample(load(recipe), recipe).unet_evaluations == 61


def test_noise_is_the_seeds_own(recipe: Recipe) -> None:
    pipeline = load(recipe)
    first = draw_noise(pipeline, recipe)
    torch.manual_seed(random.randrange(10**6))
    again = draw_noise(pipeline, replace(recipe, num_steps=9, prompt="a blue square"))
    other = draw_noise(pipeline, replace(recipe, seed=8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_seconds_and_provenance_are_recorded(recipe: Recipe) -> None:
    sampled = sample(load(recipe), recipe)
    assert sampled.seconds > 0
    assert sampled.provenance["device"] == "cpu"
    assert sampled.provenance["dtype"] == "float32"
    assert sampled.provenance["batch_size"] == 1
    scheduler = sampled.provenance["scheduler_config"]
    assert scheduler["_class_name"] == "DDIMScheduler"
    assert scheduler["timestep_spacing"] == "trailing"
    assert sampled.provenance["versions"]["torch"] == torch.__version__


def test_long_prompt_is_refused_and_not_cut(recipe: Recipe) -> None:
    outcome = only(replace(recipe, prompt="red circle " * 60))
    assert isinstance(outcome, SamplingError)
    assert "122 tokens" in str(outcome)


def test_one_failure_does_not_stop_the_others(recipe: Recipe) -> None:
    impossible = replace(recipe, width=100)
    outcomes = dict(sample_all([impossible, recipe], device="cpu"))
    assert "no images of 100 x 128 pixels" in str(outcomes[0])
    assert isinstance(outcomes[1], Sampled)


def test_pipeline_that_gives_no_numbers_is_refused(recipe: Recipe) -> None:
    pipeline = load(recipe)
    weight = pipeline.vae.decoder.conv_out.weight
    kept = weight.detach().clone()
    try:
        weight.data.fill_(float("nan"))
        with pytest.raises(SamplingError, match="not numbers"):
            sample(pipeline, recipe)
    finally:
        weight.data.copy_(kept)


def test_pipeline_is_kept_for_the_process(recipe: Recipe) -> None:
    assert load(recipe) is load(recipe)
    assert load(recipe).safety_checker is None


def test_missing_folder_is_named(recipe: Recipe, tmp_path: Path) -> None:
    outcome = only(replace(recipe, source=str(tmp_path / "nowhere")))
    assert str(tmp_path / "nowhere") in str(outcome)


def test_broken_weights_are_named(recipe: Recipe, pipeline_folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for file in pipeline_folder.rglob("*"):
        target = copy / file.relative_to(pipeline_folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.is_file():
            os.link(file, target)
    broken = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(broken)
    broken.unlink()
    broken.write_bytes(b"half a file")
    with pytest.raises(PipelineError, match="is damaged"):
        load_pipeline(str(copy), "", scheduler="ddim", device="cpu")
    save_file(weights | {"conv_in.weight": torch.zeros(1, 2, 3, 3)}, broken)
    with pytest.raises(PipelineError, match="did not load"):
        load_pipeline(str(copy), "", scheduler="ddim", device="cpu")


def test_revision_must_be_a_commit() -> None:
    with pytest.raises(PipelineError, match="40 hexadecimal digits"):
        load_pipeline("owner/name", "main", scheduler="ddim")


def test_unknown_device_is_refused() -> None:
    with pytest.raises(PipelineError, match="abacus"):
        choose_device("abacus")


def test_unknown_scheduler_is_refused(recipe: Recipe) -> None:
    with pytest.raises(PipelineError, match="euler"):
        build_scheduler("euler", load(recipe).scheduler.config)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_counts_as_the_cpu_does(recipe: Recipe) -> None:
    [(_, sampled)] = sample_all([recipe], device="cuda")
    assert isinstance(sampled, Sampled)
    assert sampled.unet_evaluations == 6
    assert sampled.provenance["dtype"] in ("bfloat16", "float16")
