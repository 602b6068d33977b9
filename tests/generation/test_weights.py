"""Images of one model are images of one set of weights, and say of which."""

import importlib
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from safetensors.torch import load_file, save_file

from generation.diffusion.folders import PipelineError
from generation.diffusion.pipelines import load_pipeline
from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled
from generation.diffusion.sampling import sample_all
from generation.diffusion.weights import weights_sha256
from generation.models import DiffusionModel, Render, RenderState
from generation.models.diffusion_models import EMBEDDED_FOLDER
from generation.rendering.inspection import remember_weights
from generation.rendering.shipped import register_shipped_model
from generation.tasks import drain_renders
from tests import factories


@pytest.fixture
def folder(pipeline_folder: Path, tmp_path: Path) -> Path:
    """A pipeline whose weights a test may change."""
    copy = tmp_path / "pipeline"
    shutil.copytree(pipeline_folder, copy)
    return copy


def train_further(folder: Path) -> None:
    """Other weights of the same size, at a later time."""
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["decoder.conv_out.bias"] = weights["decoder.conv_out.bias"] + 1
    save_file(weights, file, metadata={"format": "pt"})
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))


def recipe_of(folder: Path, **values: Any) -> Recipe:
    recipe = Recipe(str(folder), "", prompt="a red circle", seed=7, num_steps=1, scheduler="ddim",
                    guidance=1.0, width=128, height=128)
    return replace(recipe, **values)


def test_digest_follows_the_weights_and_not_the_folder(
    folder: Path, pipeline_folder: Path
) -> None:
    digest = weights_sha256(folder)
    assert digest == weights_sha256(pipeline_folder)
    (folder / "clip" / "model.safetensors").unlink()  # Lies beside the pipeline.
    assert weights_sha256(folder) == digest
    train_further(folder)
    assert weights_sha256(folder) != digest
    (folder / "model_index.json").unlink()
    with pytest.raises(PipelineError, match=r"no model_index\.json"):
        weights_sha256(folder)


def test_image_says_of_which_weights_it_is(folder: Path) -> None:
    digest = weights_sha256(folder)
    [(_, sampled)] = sample_all([recipe_of(folder, weights_sha256=digest)], device="cpu")
    assert isinstance(sampled, Sampled)
    assert sampled.provenance["weights_sha256"] == digest


def test_changed_weights_are_refused_and_nothing_else_is(folder: Path) -> None:
    old = weights_sha256(folder)
    train_further(folder)
    outcomes = dict(sample_all([recipe_of(folder, weights_sha256=old), recipe_of(folder)],
                               device="cpu"))
    assert f"the weights in {folder} have changed" in str(outcomes[0])
    assert "Register the folder as a new model" in str(outcomes[0])
    assert isinstance(outcomes[1], Sampled)


def test_pipeline_in_memory_is_of_the_weights_it_was_loaded_with(folder: Path) -> None:
    old = weights_sha256(folder)
    load_pipeline(str(folder), "", scheduler="ddim", device="cpu")
    train_further(folder)
    [(_, sampled)] = sample_all([recipe_of(folder, weights_sha256=old)], device="cpu")
    assert isinstance(sampled, Sampled)
    assert sampled.provenance["weights_sha256"] == old


@pytest.mark.django_db(transaction=True)
def test_worker_refuses_weights_that_changed_since_the_model_was_first_used(
    folder: Path, settings: Any, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT, settings.RENDER_DEVICE = tmp_path, "cpu"
    model = factories.make_model(source=str(folder), guidance=1.0)
    factories.make_render(model=model, num_steps=1)
    drain_renders(model.pk)
    model.refresh_from_db()
    assert model.weights_sha256 == weights_sha256(folder)
    train_further(folder)
    load_pipeline.cache_clear()  # As in another process.
    factories.make_render(model=model, num_steps=2)
    drain_renders(model.pk)
    first, second = Render.objects.order_by("num_steps")
    assert (first.state, second.state) == (RenderState.READY, RenderState.QUARANTINED)
    assert "have changed since this model was first used" in second.error


@pytest.mark.django_db
def test_first_use_is_remembered_for_good_and_a_broken_folder_is_not(folder: Path) -> None:
    broken = factories.make_model(source=str(folder / "vae"))
    remember_weights(broken)
    model = factories.make_model(source=str(folder))
    remember_weights(model)
    remember_weights(factories.make_model(source="owner/name", revision="0" * 40))
    digest = weights_sha256(folder)
    train_further(folder)
    remember_weights(DiffusionModel.objects.get(pk=model.pk))
    remember_weights(model)  # As another worker that read the row before.
    found = DiffusionModel.objects.order_by("pk").values_list("weights_sha256", flat=True)
    assert list(found) == ["", digest, ""]


@pytest.mark.django_db
def test_weights_that_are_shipped_later_are_another_model() -> None:
    first = register_shipped_model()
    assert register_shipped_model() == first
    assert first.model.weights_sha256 == weights_sha256(EMBEDDED_FOLDER)
    DiffusionModel.objects.update(weights_sha256="a" * 64)
    second = register_shipped_model()
    assert register_shipped_model() == second
    assert second.model != first.model
    assert second.model.name == f"Embedded scenes {second.model.weights_sha256[:8]}"
    assert second.name == f"Embedded BiLSTM {second.model.weights_sha256[:8]}"


@pytest.mark.django_db
def test_embedded_models_with_images_of_unknown_weights_are_not_used_further() -> None:
    used, new = factories.make_ready_render().model, factories.make_model()
    lab = factories.make_ready_render(model=factories.make_model(source="/models/lab")).model
    migration = importlib.import_module("generation.migrations.0005_weights_of_models")
    migration.mark_embedded_of_unknown_weights(apps, None)
    found = dict(DiffusionModel.objects.values_list("pk", "weights_sha256"))
    assert found == {used.pk: "0" * 64, new.pk: "", lab.pk: ""}
