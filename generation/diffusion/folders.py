"""What a pipeline's folder must hold. Reads names and JSON only, so it needs no torch."""

import json
import os
from pathlib import Path

# The weights that each class needs, by sub-folder. Both are driven by DDIM and DPM-Solver++.
WEIGHTS_BY_CLASS = {
    "StableDiffusionPipeline": ("text_encoder", "unet", "vae"),
    "StableDiffusionXLPipeline": ("text_encoder", "text_encoder_2", "unet", "vae"),
}


class PipelineError(ValueError):
    """A pipeline cannot be used; the message names the place and what was expected there."""


def inspect_pipeline_folder(path: Path) -> None:
    """Refuse a folder that is not a text-to-image pipeline with safetensors weights.

    Parameters
    ----------
    path : pathlib.Path
        A folder as `save_pretrained` of diffusers writes it.

    Raises
    ------
    PipelineError
        A `ValueError` that names the folder and what was expected in it.
    """
    class_name = pipeline_class_name(path)
    for part in ("scheduler", "tokenizer"):
        if not (path / part).is_dir():
            raise PipelineError(f"{path} has no folder {part}: a {class_name} needs one")
    for part in WEIGHTS_BY_CLASS[class_name]:
        if not any(file.stat().st_size for file in (path / part).glob("*.safetensors")):
            raise PipelineError(
                f"{path / part} holds no weights as a .safetensors file; other formats can run "
                "code when loaded and are refused. Save the pipeline with safe_serialization=True"
            )


def pipeline_class_name(path: Path) -> str:
    """Return the class that the folder's `model_index.json` names, if this project can use it.

    Raises
    ------
    PipelineError
        If the folder or the file is missing, unreadable, or names another class.
    """
    if not os.path.isdir(path):  # Path.is_dir raises where a name is too long.
        raise PipelineError(
            f"there is no folder {path}: expected a diffusers pipeline folder with a "
            "model_index.json"
        )
    class_name = _read_index(path / "model_index.json").get("_class_name")
    # A list here names code in the folder, which would have to be trusted.
    if not isinstance(class_name, str) or class_name not in WEIGHTS_BY_CLASS:
        raise PipelineError(
            f"{path} holds a {class_name!r} pipeline: expected a text-to-image pipeline, one of "
            f"{', '.join(WEIGHTS_BY_CLASS)}"
        )
    return class_name


def _read_index(path: Path) -> dict[str, object]:
    try:
        index = json.loads(path.read_text())
    except FileNotFoundError:
        raise PipelineError(
            f"{path.parent} has no {path.name}: expected a diffusers pipeline folder, as "
            "save_pretrained writes it"
        ) from None
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(index, dict):
        raise PipelineError(f"{path} is not a JSON object: expected a pipeline's index")
    return index
