"""One image's failure is not its neighbours', and memory that ends costs no image."""

from collections.abc import Collection
from typing import Any

import pytest
import torch
from torch import Tensor

from generation.diffusion.batching import Drawn
from generation.diffusion.noise import draw_noise
from generation.diffusion.samples import SamplingError
from tests.generation.batches import pipeline_of, sample_together
from tests.generation.pipelines import make_pipeline, make_recipe


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


def full_cpu() -> Exception:
    """What torch raises where a CPU's memory ends."""
    with pytest.raises(RuntimeError) as raised:
        torch.empty(10**15)
    return raised.value


def test_long_prompt_is_refused_and_its_neighbours_are_not() -> None:
    found = sample_together(pipeline_of("sd", "ddim", "epsilon"),
                            [make_recipe(), make_recipe(prompt="red circle " * 60)])
    assert isinstance(found[0], Drawn)
    assert "122 tokens" in str(found[1])


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
    assert "16 x 16" in str(found[0])
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


def test_text_encoder_that_fails_fails_each_image_once() -> None:
    pipeline = make_pipeline(scheduler="ddim")

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
