"""Checking what an experimenter registers, without loading it."""

import os
import re
from pathlib import Path

from generation.budget.matching import require_match
from generation.budget.tokens import TokenCounter
from generation.diffusion.folders import (
    PipelineError,
    folder_size_factor,
    inspect_pipeline_folder,
    inspect_scheduler,
)
from generation.diffusion.weights import weights_sha256
from generation.models import DiffusionModel, Predictor
from generation.models.diffusion_models import EMBEDDED_FOLDER, EMBEDDED_SOURCE

__all__ = ["inspect_model_scheduler", "inspect_model_source", "inspect_pipeline_folder",
           "inspect_predictor_folder", "inspect_predictor_match", "model_size_factor",
           "remember_weights"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


def inspect_model_source(source: str, revision: str) -> None:
    """Refuse a source that cannot be a pipeline; a hub id is only checked for its form.

    Raises
    ------
    PipelineError
        A `ValueError` that says what was expected.
    """
    if source == EMBEDDED_SOURCE:
        if revision:
            raise PipelineError("the embedded model has no revision: leave it empty")
        inspect_pipeline_folder(EMBEDDED_FOLDER)
    elif revision:
        _inspect_hub_id(source)
    elif _HUB_ID.fullmatch(source) and not os.path.exists(source):
        raise PipelineError(
            f"there is no folder {source}; for a hub id give the revision too, the commit of 40 "
            "hexadecimal digits"
        )
    else:
        inspect_pipeline_folder(Path(source))


def inspect_model_scheduler(source: str, revision: str, scheduler: str) -> None:
    """Refuse a scheduler that cannot drive a model's pipeline; a hub's is known once it is fetched.

    Raises
    ------
    PipelineError
        A `ValueError` that says which scheduler to choose.
    """
    if not revision:
        inspect_scheduler(_folder(source), scheduler)


def model_size_factor(source: str, revision: str) -> int:
    """Return what a model's width and height must be multiples of; 1 for a hub id, not fetched yet.

    Raises
    ------
    PipelineError
        A `ValueError` that names the configuration that says nothing of it.
    """
    return 1 if revision else folder_size_factor(_folder(source))


def remember_weights(model: DiffusionModel) -> None:
    """Note which weights a folder's model is first used with: no image may be of others."""
    if model.revision or model.weights_sha256:
        return
    folder = Path(model.location())
    try:
        inspect_pipeline_folder(folder)
        found = weights_sha256(folder)
    except PipelineError:  # The sampler says so to every render.
        return
    DiffusionModel.objects.filter(pk=model.pk, weights_sha256="").update(weights_sha256=found)


def inspect_predictor_folder(folder: Path) -> None:
    """Refuse a folder that cannot be a trained predictor.

    Raises
    ------
    ValueError
        If the folder, its tokenizer, its configuration or its weights are missing.
    """
    if not os.path.isdir(folder):
        raise ValueError(f"there is no folder {folder}: expected a trained predictor's folder")
    TokenCounter.from_folder(folder)
    if not any(folder.glob("*.safetensors")):
        raise ValueError(f"{folder} holds no weights as a .safetensors file")


def inspect_predictor_match(predictor: Predictor) -> None:
    """Refuse a predictor that was trained for another model than its own, with a ValueError."""
    require_match(predictor.folder(), Path(predictor.model.location()),
                  reference_steps=predictor.model.reference_steps)


def _folder(source: str) -> Path:
    return EMBEDDED_FOLDER if source == EMBEDDED_SOURCE else Path(source)


def _inspect_hub_id(source: str) -> None:
    if not _HUB_ID.fullmatch(source):
        raise PipelineError(
            f"{source!r} is not a hub id of the form owner/name; a folder has no revision: leave "
            "it empty"
        )
