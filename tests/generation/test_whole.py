"""Every family that runs through its own loop, on small untrained pipelines."""

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from generation.diffusion.alone import sample as sample_alone
from generation.diffusion.folders import WEIGHTS_BY_CLASS, PipelineError
from generation.diffusion.pipelines import denoiser, load_pipeline
from generation.diffusion.prompts import refuse_long_prompt
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted, want_all
from generation.diffusion.sampling import sample_all
from generation.diffusion.sizes import refuse_size
from generation.diffusion.whole import sample_whole
from tests.generation.pipelines import BUILDERS

FAMILIES = sorted(BUILDERS)
FLOW = ["AuraFlowPipeline", "ChromaPipeline", "FluxPipeline", "Lumina2Pipeline", "SanaPipeline",
        "StableDiffusion3Pipeline"]
# What one guided step passes through the denoiser. FLUX is told its guidance and needs no second.
EVALUATIONS = dict.fromkeys(FAMILIES, 2) | {"FluxPipeline": 1}
SIZES = {"Lumina2Pipeline": 32, "SanaPipeline": 32}
# Half a grey level from rounding to 8 bits, the rest from another shape's last bits.
TOLERANCE = 0.5 / 255 + 1e-3
FolderOf = Callable[[str], Path]
pytestmark = pytest.mark.usefixtures("one_thread")  # These networks are too small to be shared.


@pytest.fixture
def recipe_for(family_folder: FolderOf) -> Callable[[str], Recipe]:
    def make(class_name: str) -> Recipe:
        size = SIZES.get(class_name, 16)
        return Recipe(source=str(family_folder(class_name)), revision="", prompt="a red circle",
                      seed=7, num_steps=3, scheduler="own", guidance=3.0, width=size, height=size)

    return make


@pytest.fixture
def flux(recipe_for: Callable[[str], Recipe]) -> Recipe:
    return recipe_for("FluxPipeline")


def load(recipe: Recipe) -> Any:
    return load_pipeline(recipe.source, "", scheduler=recipe.scheduler, device="cpu")


def sample(
    recipes: Iterable[Recipe], *, batch_size: int = 4, unwanted: Unwanted = want_all,
    pipeline: Any = None,
) -> dict[int, Any]:
    recipes = list(recipes)
    found = list(sample_whole(pipeline or load(recipes[0]), enumerate(recipes),
                              batch_size=batch_size, unwanted=unwanted))
    assert len({index for index, _ in found}) == len(found)
    return dict(found)


def levels(sampled: Any) -> Any:
    assert isinstance(sampled, Sampled), sampled
    return np.asarray(sampled.image, dtype=float) / 255


def called_alone(recipe: Recipe) -> Any:
    """The image that a user of diffusers would get."""
    pipeline = getattr(diffusers, Path(recipe.source).name.rstrip("0123456789")).from_pretrained(
        recipe.source, local_files_only=True
    )
    exact = ({"use_resolution_binning": False} if hasattr(pipeline, "_text_preprocessing") else {})
    return pipeline(
        recipe.prompt, num_inference_steps=recipe.num_steps, guidance_scale=recipe.guidance,
        width=recipe.width, height=recipe.height, output_type="np",
        generator=torch.Generator("cpu").manual_seed(recipe.seed), **exact,
    ).images[0]


def test_every_accepted_class_is_tested() -> None:
    assert sorted(WEIGHTS_BY_CLASS) == FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_image_in_a_batch_equals_the_pipelines_own(
    recipe_for: Callable[[str], Recipe], family: str
) -> None:
    recipe = recipe_for(family)
    neighbour = replace(recipe, seed=8, prompt="two small blue squares above a line")
    outcomes = sample([neighbour, recipe])
    assert np.abs(levels(outcomes[1]) - called_alone(recipe)).max() <= TOLERANCE
    assert np.abs(levels(outcomes[0]) - called_alone(neighbour)).max() <= TOLERANCE
    assert np.abs(levels(outcomes[0]) - levels(outcomes[1])).max() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_evaluations_are_the_steps_asked_for(
    recipe_for: Callable[[str], Recipe], family: str, guidance: float
) -> None:
    recipe = replace(recipe_for(family), guidance=guidance, num_steps=5)
    each = EVALUATIONS[family] if guidance > 1 else 1
    # PNDM, which Stable Diffusion 1 came with, makes one call more.
    num_calls = 6 if family == "StableDiffusionPipeline" else 5
    outcomes = sample([recipe, replace(recipe, seed=8)])
    assert [outcomes[i].unet_evaluations for i in (0, 1)] == [each * num_calls] * 2


def test_cost_and_provenance_are_recorded(flux: Recipe) -> None:
    outcomes = sample([flux, replace(flux, seed=8)])
    assert outcomes[0].seconds == outcomes[1].seconds > 0
    provenance = outcomes[0].provenance
    assert (provenance["sampler"], provenance["batch_size"]) == ("pipeline", 2)
    assert (provenance["pipeline"], provenance["dtype"]) == ("FluxPipeline", "float32")
    assert provenance["scheduler_config"]["_class_name"] == "FlowMatchEulerDiscreteScheduler"
    assert provenance["cost"]["joules"] == "not readable on this device"
    json.dumps(provenance)


def test_worker_renders_every_family(recipe_for: Callable[[str], Recipe]) -> None:
    recipes = [recipe_for(family) for family in FAMILIES]
    outcomes = dict(sample_all(recipes, device="cpu"))
    assert [type(outcomes[index]) for index in range(len(recipes))] == [Sampled] * len(recipes)


def test_image_alone_is_the_same_and_a_failure_is_raised(flux: Recipe) -> None:
    pipeline = load(flux)
    image = levels(sample_alone(pipeline, flux))
    assert np.abs(image - levels(sample([flux, replace(flux, seed=8)])[0])).max() <= TOLERANCE
    with pytest.raises(SamplingError, match="multiples of 4"):
        sample_alone(pipeline, replace(flux, width=17))


def test_random_steps_belong_to_the_seed_too(recipe_for: Callable[[str], Recipe]) -> None:
    """An ancestral scheduler draws noise at every step."""
    recipe = replace(recipe_for("StableDiffusionPipeline"), seed=9)
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(recipe.source)
    pipeline.scheduler = diffusers.EulerAncestralDiscreteScheduler.from_config(
        pipeline.scheduler.config
    )
    first, again = (levels(sample_alone(pipeline, recipe)) for _ in range(2))
    beside = levels(sample([replace(recipe, seed=8), recipe], pipeline=pipeline)[1])
    assert np.array_equal(first, again)
    assert np.abs(first - beside).max() <= 1.5 / 255  # One grey level.
    assert not np.array_equal(first, levels(sample_alone(pipeline, replace(recipe, seed=8))))


def test_recipes_of_equal_length_share_a_call_and_are_not_hoarded(flux: Recipe) -> None:
    taken: list[int] = []

    def recipes() -> Iterator[tuple[int, Recipe]]:
        for index, num_steps in enumerate([2, 3, 2, 2, 3, 2]):
            taken.append(index)
            yield index, replace(flux, num_steps=num_steps, seed=index)

    outcomes = sample_whole(load(flux), recipes(), batch_size=3, unwanted=want_all)
    first = next(outcomes)
    assert taken == [0, 1, 2]
    everything = [first, *outcomes]
    assert [index for index, _ in everything] == [0, 2, 1, 4, 3, 5]
    assert all(isinstance(one, Sampled) and one.provenance["batch_size"] == 2
               for _, one in everything)


def test_call_that_nobody_wants_ends_within_one_step(flux: Recipe) -> None:
    asked: list[tuple[int, ...]] = []
    evaluations: list[object] = []
    pipeline = load(flux)

    def unwanted(indexes: Collection[int]) -> Collection[int]:
        asked.append(tuple(indexes))
        return indexes if len(asked) == 4 and len(indexes) == 2 else ()

    hook = denoiser(pipeline).register_forward_hook(lambda *_: evaluations.append(None))
    try:
        outcomes = sample([replace(flux, num_steps=9), replace(flux, num_steps=9, seed=8),
                           replace(flux, num_steps=2)], unwanted=unwanted)
    finally:
        hook.remove()
    assert list(outcomes) == [2]  # One question before the call, one before each evaluation.
    assert asked == [(0, 1)] * 4 + [(2,)] * 3
    assert len(evaluations) == 2 + 2


def test_one_unwanted_image_is_not_handed_out_and_its_neighbour_is(flux: Recipe) -> None:
    outcomes = sample([flux, replace(flux, seed=8)],
                      unwanted=lambda indexes: [0] if 0 in indexes else [])
    assert list(outcomes) == [1]
    during = iter([(), (), (0,), (), ()])
    outcomes = sample([flux, replace(flux, seed=8)], unwanted=lambda _indexes: next(during))
    assert list(outcomes) == [1]


def test_failing_question_ends_the_sampling(flux: Recipe) -> None:
    def unwanted(_indexes: Collection[int]) -> Collection[int]:
        raise ConnectionError("no database")

    with pytest.raises(ConnectionError, match="no database"):
        sample([flux, flux], unwanted=unwanted)


def test_failed_call_is_repeated_image_by_image(flux: Recipe) -> None:
    pipeline = load(flux)
    sizes: list[int] = []

    def fail_on(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        sizes.append(len(kwargs["hidden_states"]))
        if sizes[-1] > 1 or len(sizes) == 2:
            raise RuntimeError("no such luck")

    hook = denoiser(pipeline).register_forward_pre_hook(fail_on, with_kwargs=True)
    try:
        outcomes = sample([flux, replace(flux, seed=8), replace(flux, num_steps=2)],
                          pipeline=pipeline)
    finally:
        hook.remove()
    assert sizes == [2, 1, 1, 1, 1, 1, 1]
    assert isinstance(outcomes[0], SamplingError)
    assert "RuntimeError: no such luck" in str(outcomes[0])
    assert [type(outcomes[i]) for i in (1, 2)] == [Sampled, Sampled]
    assert "prepare_latents" not in vars(pipeline)


def test_image_that_is_no_numbers_is_refused_and_its_neighbour_kept(flux: Recipe) -> None:
    pipeline = load(flux)

    def spoil(_module: Any, _args: Any, output: tuple[torch.Tensor]) -> None:
        output[0][0] = float("nan")

    hook = denoiser(pipeline).register_forward_hook(spoil)
    try:
        outcomes = sample([flux, replace(flux, seed=8)], pipeline=pipeline)
    finally:
        hook.remove()
    assert "not numbers in torch.float32" in str(outcomes[0])
    assert isinstance(outcomes[1], Sampled)


def test_noise_is_the_same_in_every_dtype(flux: Recipe, family_folder: FolderOf) -> None:
    def starting_noise(dtype: torch.dtype) -> Any:
        pipeline = diffusers.FluxPipeline.from_pretrained(flux.source, dtype=dtype)
        seen: list[Any] = []
        denoiser(pipeline).register_forward_pre_hook(
            lambda _module, _args, kwargs: seen.append(kwargs["hidden_states"]), with_kwargs=True
        )
        assert isinstance(sample([flux], pipeline=pipeline)[0], Sampled)
        return seen[0]

    noise = starting_noise(torch.bfloat16)
    assert torch.equal(noise, starting_noise(torch.float32).to(torch.bfloat16))


# A word is a token to CLIP, and one more than its letters to T5; both add marks of their own.
@pytest.mark.parametrize(("family", "prompt", "sentence"), [
    ("StableDiffusion3Pipeline", "triangle " * 36, "325 tokens.*tokenizer_3, a T5.*most 256"),
    ("StableDiffusion3Pipeline", "a " * 39, "41 tokens.*tokenizer, a CLIPTokenizer.*most 40"),
    ("FluxPipeline", "a " * 39, "41 tokens.*tokenizer, a CLIPTokenizer, reads at most 40"),
    ("ChromaPipeline", "a" * 512, "tokenizer, a T5Tokenizer, reads at most 512"),
    ("PixArtAlphaPipeline", "A" * 120, "122 tokens.*at most 120"),
    ("PixArtSigmaPipeline", "A" * 300, "302 tokens.*at most 300"),
    ("SanaPipeline", "a" * 299, "299 tokens.*a GemmaTokenizer.*at most 298"),
    ("AuraFlowPipeline", "a" * 256, "at most 256"),
    ("Lumina2Pipeline", "a" * 250, "250 tokens.*a GemmaTokenizer.*at most"),
    ("StableDiffusionXLPipeline", "a " * 39, "41 tokens.*at most 40"),
])
def test_long_prompt_is_refused_and_not_cut(
    recipe_for: Callable[[str], Recipe], family: str, prompt: str, sentence: str
) -> None:
    recipe = recipe_for(family)
    outcomes = sample([replace(recipe, prompt=prompt), recipe])
    with pytest.raises(SamplingError, match=sentence):
        raise outcomes[0]
    assert isinstance(outcomes[1], Sampled)


@pytest.mark.parametrize(("family", "length"), [("SanaPipeline", 298), ("PixArtSigmaPipeline", 298),
                                                ("AuraFlowPipeline", 254)])
def test_longest_prompt_is_read_to_its_last_letter(
    recipe_for: Callable[[str], Recipe], family: str, length: int
) -> None:
    recipe = recipe_for(family)
    pipeline = load(recipe)
    ends = [f"{'a' * (length - 1)}{letter}" for letter in "ab"]
    for prompt in ends:
        refuse_long_prompt(pipeline, prompt)
    first, second = (
        pipeline.encode_prompt(prompt, device="cpu", **(
            {"complex_human_instruction": ["Given a prompt:"]} if family == "SanaPipeline" else {}
        ))[0] for prompt in ends
    )
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("family", "factor"), [
    ("StableDiffusionPipeline", 8), ("StableDiffusion3Pipeline", 4), ("FluxPipeline", 4),
    ("ChromaPipeline", 4), ("PixArtSigmaPipeline", 8), ("SanaPipeline", 32),
    ("AuraFlowPipeline", 4), ("Lumina2Pipeline", 16),
])
def test_size_that_the_model_cannot_make_names_its_factor(
    recipe_for: Callable[[str], Recipe], family: str, factor: int
) -> None:
    recipe = recipe_for(family)
    odd = replace(recipe, width=recipe.width + factor // 2)
    with pytest.raises(SamplingError, match=rf"must be multiples of {factor}$"):
        raise sample([odd])[0]
    refuse_size(load(recipe), replace(recipe, width=recipe.width + factor))
    wider = sample([replace(recipe, width=recipe.width + factor)])[0]
    assert wider.image.size == (recipe.width + factor, recipe.height)


@pytest.mark.parametrize("family", FLOW)
@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_flow_matching_pipeline_needs_its_own_scheduler(
    family_folder: FolderOf, family: str, scheduler: str
) -> None:
    with pytest.raises(PipelineError, match="Choose “the pipeline's own”"):
        load_pipeline(str(family_folder(family)), "", scheduler=scheduler, device="cpu")


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - set(FLOW)))
@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_pipeline_with_a_beta_schedule_is_driven_by_the_projects_schedulers(
    recipe_for: Callable[[str], Recipe], family: str, scheduler: str
) -> None:
    recipe = replace(recipe_for(family), scheduler=scheduler, num_steps=61)
    [outcome] = sample([replace(recipe, guidance=1.0)]).values()
    assert outcome.unet_evaluations == 61
    assert outcome.provenance["scheduler_config"]["timestep_spacing"] == "trailing"


def test_sd3_without_its_t5_works(family_folder: FolderOf, flux: Recipe, tmp_path: Path) -> None:
    folder = tmp_path / "pipeline"
    shutil.copytree(family_folder("StableDiffusion3Pipeline"), folder)
    index = json.loads((folder / "model_index.json").read_text())
    for part in ("text_encoder_3", "tokenizer_3"):
        index[part] = [None, None]
        shutil.rmtree(folder / part)
    (folder / "model_index.json").write_text(json.dumps(index))
    assert isinstance(sample([replace(flux, source=str(folder))])[0], Sampled)


def test_scheduler_that_diffusers_does_not_know_is_named(
    family_folder: FolderOf, tmp_path: Path
) -> None:
    folder = tmp_path / "pipeline"
    shutil.copytree(family_folder("FluxPipeline"), folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "WonderScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(PipelineError, match=r"did not load .*WonderScheduler"):
        load_pipeline(str(folder), "", scheduler="own", device="cpu")


def test_images_are_left_as_they_are(family_folder: FolderOf) -> None:
    folder = str(family_folder("StableDiffusionXLPipeline"))
    assert load_pipeline(folder, "", scheduler="own", device="cpu").watermark is None


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), MemoryError()])
def test_out_of_memory_halves_the_batch_for_good(flux: Recipe, error: Exception) -> None:
    pipeline = load(flux)
    sizes: list[int] = []

    def fail_above_two(_module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        sizes.append(len(kwargs["hidden_states"]))
        if sizes[-1] > 2:
            raise error

    shrunk: list[int] = []
    hook = denoiser(pipeline).register_forward_pre_hook(fail_above_two, with_kwargs=True)
    try:
        outcomes = dict(sample_whole(
            pipeline, enumerate(replace(flux, seed=seed) for seed in range(8)), batch_size=4,
            unwanted=lambda _indexes: [], on_shrink=shrunk.append,
        ))
    finally:
        hook.remove()
    assert all(isinstance(outcome, Sampled) for outcome in outcomes.values())
    assert len(outcomes) == 8
    assert shrunk == [2]
    assert sizes.count(4) == 1  # The second group of four is not tried.
