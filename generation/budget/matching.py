"""Whether a predictor was trained for a model. Reads files only, so it needs no torch."""

import json
from pathlib import Path
from typing import Any

from generation.budget.tokens import CONFIG_FILE
from generation.diffusion.weights import file_sha256

_FINGERPRINT = "text_encoder_sha256"


def record_model(predictor_folder: Path, model_folder: Path) -> None:
    """Write into a predictor's configuration which model's text encoder it was trained for."""
    path = predictor_folder / CONFIG_FILE
    config = json.loads(path.read_text()) | {_FINGERPRINT: text_encoder_hashes(model_folder)}
    path.write_text(json.dumps(config, indent=1) + "\n")


def require_match(predictor_folder: Path, model_folder: Path, *, reference_steps: int) -> None:
    """Refuse a predictor that was trained for another model, as far as its folder says.

    A configuration without a fingerprint claims nothing, and neither does a model that is not a
    folder of this machine.

    Parameters
    ----------
    predictor_folder : pathlib.Path
    model_folder : pathlib.Path
        The pipeline's folder.
    reference_steps : int
        The model's full step count.

    Raises
    ------
    ValueError
        If the predictor's step grid ends elsewhere, or the text encoder is another one.
    """
    config = _config(predictor_folder)
    steps = config.get("steps")
    if steps and steps[-1] != reference_steps:
        raise ValueError(
            f"the predictor in {predictor_folder} was trained for a model of {steps[-1]} steps in "
            f"full, and this model has {reference_steps}. Choose the model that it was trained for"
        )
    trained_for, found = set(config.get(_FINGERPRINT, [])), text_encoder_hashes(model_folder)
    if trained_for and found and trained_for.isdisjoint(found):
        raise ValueError(
            f"the predictor in {predictor_folder} was trained for another model: its text encoder "
            f"is not the one in {model_folder}. Choose the model that it was trained for, or train "
            "a predictor for this one"
        )


def text_encoder_hashes(model_folder: Path) -> list[str]:
    """The sha256 of each weights file of a pipeline's text encoder; none where there is none."""
    # A folder may hold one set of weights in several files, in halves and in wholes.
    files = (model_folder / "text_encoder").glob("*.safetensors")
    return sorted(file_sha256(path) for path in files)


def _config(predictor_folder: Path) -> dict[str, Any]:
    """The configuration; whoever loads the predictor says what is wrong with a broken one."""
    try:
        config = json.loads((predictor_folder / CONFIG_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
