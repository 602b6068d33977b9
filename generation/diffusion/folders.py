"""What a pipeline's folder must hold. Reads names and JSON only, so it needs no torch."""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# The text-to-image pipelines of diffusers that this project has tested, and the weights that each
# needs, by sub-folder. SD3 is often saved without its T5 encoder, so that one is not asked for.
WEIGHTS_BY_CLASS = {
    "StableDiffusionPipeline": ("text_encoder", "unet", "vae"),
    "StableDiffusionXLPipeline": ("text_encoder", "text_encoder_2", "unet", "vae"),
    "StableDiffusion3Pipeline": ("text_encoder", "text_encoder_2", "transformer", "vae"),
    "FluxPipeline": ("text_encoder", "text_encoder_2", "transformer", "vae"),
    "ChromaPipeline": ("text_encoder", "transformer", "vae"),
    "PixArtAlphaPipeline": ("text_encoder", "transformer", "vae"),
    "PixArtSigmaPipeline": ("text_encoder", "transformer", "vae"),
    "SanaPipeline": ("text_encoder", "transformer", "vae"),
    "AuraFlowPipeline": ("text_encoder", "transformer", "vae"),
    "Lumina2Pipeline": ("text_encoder", "transformer", "vae"),
}
# These pack 2 x 2 latents into one token; their transformers' patch size says 1.
_PACKING = {"FluxPipeline": 2, "ChromaPipeline": 2}
# These refuse other sizes than multiples of a number in their code, whatever the autoencoder.
_FIXED_FACTOR = {
    "StableDiffusionPipeline": 8, "StableDiffusionXLPipeline": 8, "PixArtAlphaPipeline": 8,
    "PixArtSigmaPipeline": 8, "SanaPipeline": 32, "Lumina2Pipeline": 16,
}
# The safety checker has weights, but is never loaded.
_WITHOUT_WEIGHTS = ("_", "tokenizer", "scheduler", "feature_extractor", "safety_checker")
# Another name stands for code in the folder. The last is where diffusers keeps its safety checker.
_LIBRARIES = ("diffusers", "transformers", "stable_diffusion")

_LONGEST_HEADER_BYTES = 100_000_000  # As the safetensors library allows.


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
    parts = dict(_listed_parts(path))
    for part in dict.fromkeys(("scheduler", "tokenizer", *parts)):
        if part.startswith(("scheduler", "tokenizer")) and not (path / part).is_dir():
            raise PipelineError(f"{path} has no folder {part}: a {class_name} needs one")
    for part, library in parts.items():
        if library not in _LIBRARIES:
            raise PipelineError(
                f"{path} takes its {part} from {library!r}, which is code of the model's author: "
                "expected a part of diffusers or transformers"
            )
    for part in parts_with_weights(path):
        _refuse_other_weights(path / part)
    refuse_damaged_weights(path)


def refuse_damaged_weights(path: Path) -> None:
    """Refuse a pipeline's folder in which a .safetensors file is cut short or is none.

    Parameters
    ----------
    path : pathlib.Path
        The pipeline's folder.

    Raises
    ------
    PipelineError
        A `ValueError` that names the file and how its size differs from what its header says.
    """
    for file in sorted(path.glob("*/*.safetensors")):
        try:
            promised, found = _promised_bytes(file), file.stat().st_size
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise PipelineError(
                f"{file} is damaged or no safetensors file: its header cannot be read. Copy it "
                "again, whole (a Git LFS pointer is not the file it points to)"
            ) from error
        if promised != found:
            raise PipelineError(
                f"{file} is damaged: by its header it has {promised:,} bytes, and there are "
                f"{found:,}. Copy it again"
            )


def _promised_bytes(file: Path) -> int:
    """How long a safetensors file must be: eight bytes, its JSON header, and its tensors."""
    with file.open("rb") as content:
        header_bytes = int.from_bytes(content.read(8), "little")
        if not 2 <= header_bytes <= _LONGEST_HEADER_BYTES:
            raise ValueError(f"a header of {header_bytes} bytes")
        header = json.loads(content.read(header_bytes))
    header.pop("__metadata__", None)
    ends = [int(tensor["data_offsets"][1]) for tensor in header.values()]
    return 8 + header_bytes + max(ends, default=0)


def pipeline_class_name(path: Path) -> str:
    """Return the class that the folder's `model_index.json` names, if this project can use it.

    Parameters
    ----------
    path : pathlib.Path
        The pipeline's folder.

    Returns
    -------
    str
        One of `WEIGHTS_BY_CLASS`.

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
    class_name = _read_json(path / "model_index.json").get("_class_name")
    # A list here names code in the folder, which would have to be trusted.
    if not isinstance(class_name, str) or class_name not in WEIGHTS_BY_CLASS:
        raise PipelineError(
            f"{path} holds a {class_name!r} pipeline: expected a text-to-image pipeline, one of "
            f"{', '.join(WEIGHTS_BY_CLASS)}"
        )
    return class_name


def parts_with_weights(path: Path) -> list[str]:
    """Name the sub-folders that hold the pipeline's weights.

    Parameters
    ----------
    path : pathlib.Path
        The pipeline's folder.

    Returns
    -------
    list of str
        What its class needs first, then whatever else its index lists.

    Raises
    ------
    PipelineError
        As `pipeline_class_name` does.
    """
    needed = WEIGHTS_BY_CLASS[pipeline_class_name(path)]
    listed = (part for part, _ in _listed_parts(path) if not part.startswith(_WITHOUT_WEIGHTS))
    return list(dict.fromkeys((*needed, *listed)))


def left_out_parts(path: Path) -> list[str]:
    """Name the parts that a pipeline was saved without.

    Parameters
    ----------
    path : pathlib.Path
        The pipeline's folder.

    Returns
    -------
    list of str

    Raises
    ------
    PipelineError
        If its index cannot be read.
    """
    return [name for name, origin in _read_json(path / "model_index.json").items()
            if origin == [None, None]]


def inspect_scheduler(path: Path, name: str) -> None:
    """Refuse a scheduler that cannot drive the pipeline in a folder.

    Parameters
    ----------
    path : pathlib.Path
        The pipeline's folder.
    name : str
        One of `recipes.SCHEDULERS`.

    Raises
    ------
    PipelineError
        If the scheduler is not the pipeline's own and the pipeline was not trained for it, or if
        the folder does not say what it was trained for.
    """
    if name != "own":
        refuse_foreign_scheduler(name, _read_json(path / "scheduler" / "scheduler_config.json"))


def refuse_foreign_scheduler(name: str, config: Mapping[str, Any]) -> None:
    """Refuse DDIM and DPM-Solver++ where a pipeline's own scheduler follows no beta schedule.

    Parameters
    ----------
    name : str
        `ddim` or `dpmsolver++`.
    config : mapping
        Of the pipeline's own scheduler.

    Raises
    ------
    PipelineError
        It says which scheduler to choose instead.
    """
    # Flow matching may come as DPM-Solver++ too, whose configuration then has unused betas.
    is_flow = config.get("use_flow_sigmas") or config.get("prediction_type") == "flow_prediction"
    if is_flow or "num_train_timesteps" not in config or "beta_schedule" not in config:
        raise PipelineError(
            f"{name} cannot drive this pipeline: its own scheduler, {config.get('_class_name')}, "
            "follows no beta schedule, as flow matching does not. Choose “the pipeline's own”"
        )


def folder_size_factor(path: Path) -> int:
    """Return what width and height must be multiples of, in pixels, for the pipeline in a folder.

    Parameters
    ----------
    path : pathlib.Path
        The pipeline's folder.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    PipelineError
        If a configuration is missing or cannot be read.
    """
    class_name = pipeline_class_name(path)
    denoiser = "unet" if "unet" in WEIGHTS_BY_CLASS[class_name] else "transformer"
    return size_factor(class_name, autoencoder=_read_json(path / "vae" / "config.json"),
                       denoiser=_read_json(path / denoiser / "config.json"))


def size_factor(
    class_name: str, *, autoencoder: Mapping[str, Any], denoiser: Mapping[str, Any]
) -> int:
    """Return what width and height must be multiples of, in pixels.

    It is the autoencoder's scale factor, which doubles with every block after the first, times
    the side of the patches that a transformer cuts the latents into.

    Parameters
    ----------
    class_name : str
        Of the pipeline.
    autoencoder, denoiser : mapping
        Their configurations.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    PipelineError
        If the autoencoder's configuration names no blocks.
    """
    blocks = autoencoder.get("block_out_channels") or autoencoder.get("encoder_block_out_channels")
    if not isinstance(blocks, list | tuple):
        raise PipelineError(
            f"the autoencoder's configuration has {blocks!r} for block_out_channels: expected a "
            "list, as AutoencoderKL and AutoencoderDC have"
        )
    patch: int = _PACKING.get(class_name) or denoiser.get("patch_size") or 1
    return math.lcm(patch * 2 ** (len(blocks) - 1), _FIXED_FACTOR.get(class_name, 1))


def _listed_parts(path: Path) -> Iterator[tuple[str, object]]:
    """Yield each part that the index lists, except those left out, and the library it is from."""
    for name, origin in _read_json(path / "model_index.json").items():
        if not name.startswith("_") and isinstance(origin, list) and any(origin):
            yield name, origin[0]


def _refuse_other_weights(folder: Path) -> None:
    if not any(file.stat().st_size for file in folder.glob("*.safetensors")):
        raise PipelineError(
            f"{folder} holds no weights as a .safetensors file; other formats can run code when "
            "loaded and are refused. Save the pipeline with safe_serialization=True"
        )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise PipelineError(
            f"{path.parent} has no {path.name}: expected a diffusers pipeline folder, as "
            "save_pretrained writes it"
        ) from None
    except (OSError, ValueError) as error:
        raise PipelineError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise PipelineError(f"{path} is not a JSON object: expected what save_pretrained writes")
    return content
