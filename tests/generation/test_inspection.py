import json
import shutil
from pathlib import Path

import pytest

from generation.rendering.inspection import (
    inspect_model_source,
    inspect_pipeline_folder,
    inspect_predictor_folder,
)

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The outline of a Stable Diffusion pipeline."""
    (tmp_path / "model_index.json").write_text(
        json.dumps({"_class_name": "StableDiffusionPipeline"})
    )
    for part in ("scheduler", "tokenizer", "text_encoder", "unet", "vae"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "model.safetensors").write_bytes(b"weights")
    return tmp_path


def test_real_pipeline_passes(pipeline_folder: Path) -> None:
    inspect_pipeline_folder(pipeline_folder)


def test_outline_passes(folder: Path) -> None:
    inspect_pipeline_folder(folder)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no folder {tmp_path / 'nowhere'}.*model_index.json"):
        inspect_pipeline_folder(tmp_path / "nowhere")


def test_folder_without_an_index_is_refused(folder: Path) -> None:
    (folder / "model_index.json").unlink()
    with pytest.raises(ValueError, match=r"has no model_index\.json"):
        inspect_pipeline_folder(folder)


@pytest.mark.parametrize("index", [b"{", b"\xff\xfe", b"[]"])
def test_unreadable_index_is_refused(folder: Path, index: bytes) -> None:
    (folder / "model_index.json").write_bytes(index)
    with pytest.raises(ValueError, match=r"model_index\.json"):
        inspect_pipeline_folder(folder)


@pytest.mark.parametrize(
    "class_name", ["StableDiffusionInpaintPipeline", None, ["code.py", "StableDiffusionPipeline"]]
)
def test_another_class_is_refused(folder: Path, class_name: object) -> None:
    (folder / "model_index.json").write_text(json.dumps({"_class_name": class_name}))
    with pytest.raises(ValueError, match="expected a text-to-image pipeline"):
        inspect_pipeline_folder(folder)


@pytest.mark.parametrize("part", ["text_encoder", "unet", "vae"])
def test_weights_in_another_format_are_refused(folder: Path, part: str) -> None:
    (folder / part / "model.safetensors").rename(folder / part / "model.bin")
    with pytest.raises(ValueError, match=rf"{part} holds no weights as a \.safetensors"):
        inspect_pipeline_folder(folder)


def test_missing_part_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "tokenizer")
    with pytest.raises(ValueError, match="no folder tokenizer"):
        inspect_pipeline_folder(folder)


def test_hub_id_needs_a_commit() -> None:
    with pytest.raises(ValueError, match="give the revision"):
        inspect_model_source("owner/name", "")
    inspect_model_source("owner/name", COMMIT)


def test_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(ValueError, match="a folder has no revision"):
        inspect_model_source(str(folder), COMMIT)


def test_embedded_model_has_no_revision() -> None:
    with pytest.raises(ValueError, match="leave it empty"):
        inspect_model_source("embedded", COMMIT)


def test_predictor_folder_is_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder"):
        inspect_predictor_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        inspect_predictor_folder(tmp_path)
