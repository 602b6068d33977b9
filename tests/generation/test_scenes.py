from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from generation.scenes.captions import WORDS, Scene, Thing, random_scene, sibling
from generation.scenes.corpus import corpus_captions, draw_corpus
from generation.scenes.drawing import PALETTE, draw
from generation.scenes.evaluation import held_out_scenes
from generation.scenes.tokenizer import MAX_TOKENS, build_tokenizer
from generation.scenes.training import TrainingPlan, train_scenes


def test_caption_names_the_background_then_each_object_after_its_place() -> None:
    scene = Scene("blue", "striped", (Thing("left", "large", "dotted", "red", "circle"),
                                      Thing("right", "small", "plain", "white", "star")))
    assert scene.caption() == ("a striped blue background, left a large dotted red circle, "
                               "right a small white star")


def test_every_word_is_one_token_and_every_caption_fits() -> None:
    tokenizer = build_tokenizer()
    assert all(len(tokenizer.tokenize(word)) == 1 for word in WORDS)
    rng = np.random.default_rng(0)
    lengths = [len(tokenizer(random_scene(rng, num_things=4).caption()).input_ids)
               for _ in range(200)]
    assert max(lengths) <= MAX_TOKENS


@given(st.integers(0, 10_000))
def test_sibling_says_something_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    assert sibling(scene, rng).caption() != scene.caption()


@given(st.integers(0, 10_000))
def test_objects_stand_out_from_the_background(seed: int) -> None:
    scene = random_scene(np.random.default_rng(seed))
    assert all(thing.colour != scene.colour for thing in scene.things)


def test_drawing_puts_the_object_where_the_caption_says() -> None:
    scene = Scene("white", "plain", (Thing("top left", "large", "plain", "blue", "square"),))
    image = draw(scene, np.random.default_rng(0))
    assert image.shape == (128, 128, 3)
    assert image[33, 33].tolist() == list(PALETTE["blue"])
    assert image[95, 95].tolist() == list(PALETTE["white"])


def test_held_out_captions_are_none_of_the_corpus() -> None:
    seen = corpus_captions(TrainingPlan.num_scenes, seed=TrainingPlan.seed)
    assert len(seen) > 10_000
    held_out = {scene.caption() for scene in held_out_scenes(100)}
    assert len(held_out) == 100
    assert not held_out & seen


def test_corpus_captions_are_those_of_the_drawn_corpus(tmp_path: Path) -> None:
    corpus = draw_corpus(tmp_path, num_scenes=20, seed=3)
    assert corpus_captions(20, seed=3) == set(corpus.captions)


def test_five_objects_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 0 to 4 objects, got 5"):
        random_scene(np.random.default_rng(0), num_things=5)


def test_training_writes_a_pipeline_and_resumes(tmp_path: Path) -> None:
    """A few steps of everything: stopped after CLIP, gone on with, loaded and sampled."""
    from diffusers import StableDiffusionPipeline

    work, out = tmp_path / "work", tmp_path / "out"
    plan = TrainingPlan(num_scenes=40, clip_steps=2, clip_batch=4, vae_steps=2, vae_batch=2,
                        unet_steps=2, unet_batch=2)
    train_scenes(work, out, plan=plan, report=lambda line: None)
    trained = (work / "unet.safetensors").stat().st_mtime_ns
    train_scenes(work, out, plan=plan, report=lambda line: None)
    assert (work / "unet.safetensors").stat().st_mtime_ns == trained, "trained again"
    pipeline = StableDiffusionPipeline.from_pretrained(
        out, dtype=torch.float32, use_safetensors=True
    )
    pipeline.set_progress_bar_config(disable=True)
    image = pipeline("a red background", num_inference_steps=1, output_type="np").images[0]
    assert image.shape == (128, 128, 3)
    assert not list(out.rglob("*.bin"))


def test_training_goes_on_from_a_written_model(tmp_path: Path, pipeline_folder: Path) -> None:
    from safetensors.torch import load_file

    plan = TrainingPlan(num_scenes=40, clip_steps=0, vae_steps=0, unet_steps=1, unet_batch=2)
    train_scenes(tmp_path / "work", tmp_path / "out", plan=plan, start=pipeline_folder,
                 report=lambda line: None)
    name = "vae/diffusion_pytorch_model.safetensors"
    kept, given = load_file(tmp_path / "out" / name), load_file(pipeline_folder / name)
    assert all(torch.equal(kept[key], given[key].half()) for key in given)
    name = "unet/diffusion_pytorch_model.safetensors"
    trained, given = load_file(tmp_path / "out" / name), load_file(pipeline_folder / name)
    assert not torch.equal(trained["conv_in.weight"], given["conv_in.weight"].half())
