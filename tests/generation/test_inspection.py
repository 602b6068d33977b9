import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from generation.diffusion.folders import WEIGHTS_BY_CLASS
from generation.rendering.inspection import (
    inspect_model_scheduler,
    inspect_model_source,
    inspect_pipeline_folder,
    inspect_predictor_folder,
    model_size_factor,
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
        write_weights(tmp_path / part / "model.safetensors")
    return tmp_path


def write_weights(path: Path) -> None:
    """One tensor of two float32 numbers, as the safetensors format lays them out."""
    header = json.dumps({"__metadata__": {"format": "pt"}, "weight": {
        "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))


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


def test_weights_cut_short_are_named(folder: Path) -> None:
    file = folder / "unet" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ValueError, match=f"{file} is damaged: by its header it has .* bytes"):
        inspect_pipeline_folder(folder)


@pytest.mark.parametrize("content", [
    b"\x01", b"version https://git-lfs.github.com/spec/v1\n", (4).to_bytes(8, "little") + b"nope",
    (20).to_bytes(8, "little") + b'{"weight": 3}', (2).to_bytes(8, "little") + b"[]",
])
def test_file_that_is_no_safetensors_is_named(folder: Path, content: bytes) -> None:
    (folder / "vae" / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"vae/model\.safetensors is damaged or no safetensors"):
        inspect_pipeline_folder(folder)


def test_missing_part_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "tokenizer")
    with pytest.raises(ValueError, match="no folder tokenizer"):
        inspect_pipeline_folder(folder)


def list_part(folder: Path, part: str, origin: list[Any]) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {part: origin}))


@pytest.mark.parametrize("class_name", WEIGHTS_BY_CLASS)
def test_every_tested_family_passes(
    family_folder: Callable[[str], Path], class_name: str
) -> None:
    inspect_pipeline_folder(family_folder(class_name))


@pytest.mark.parametrize("part", ["image_encoder", "text_encoder_3"])
def test_listed_model_needs_safetensors_too(folder: Path, part: str) -> None:
    list_part(folder, part, ["transformers", "SomeModel"])
    with pytest.raises(ValueError, match=rf"{folder / part} holds no weights"):
        inspect_pipeline_folder(folder)


def test_listed_tokenizer_needs_a_folder(folder: Path) -> None:
    list_part(folder, "tokenizer_2", ["transformers", "CLIPTokenizer"])
    with pytest.raises(ValueError, match="no folder tokenizer_2"):
        inspect_pipeline_folder(folder)


def test_parts_left_out_or_never_loaded_need_nothing(folder: Path) -> None:
    list_part(folder, "image_encoder", [None, None])
    list_part(folder, "safety_checker", ["stable_diffusion", "StableDiffusionSafetyChecker"])
    inspect_pipeline_folder(folder)


def test_code_of_the_models_author_is_refused(folder: Path) -> None:
    list_part(folder, "unet", ["my_unet", "MyUNet"])
    with pytest.raises(ValueError, match="takes its unet from 'my_unet'"):
        inspect_pipeline_folder(folder)


@pytest.mark.parametrize("scheduler", ["ddim", "dpmsolver++"])
def test_flow_matching_folder_needs_its_own_scheduler(
    family_folder: Callable[[str], Path], scheduler: str
) -> None:
    for class_name in ("StableDiffusion3Pipeline", "SanaPipeline"):  # Sana's has unused betas.
        source = str(family_folder(class_name))
        inspect_model_scheduler(source, "", "own")
        with pytest.raises(ValueError, match="Choose “the pipeline's own”"):
            inspect_model_scheduler(source, "", scheduler)
    inspect_model_scheduler(str(family_folder("PixArtSigmaPipeline")), "", scheduler)
    inspect_model_scheduler("embedded", "", scheduler)
    inspect_model_scheduler("owner/name", COMMIT, scheduler)


def test_folder_without_a_scheduler_configuration_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"has no scheduler_config\.json"):
        inspect_model_scheduler(str(folder), "", "ddim")


@pytest.mark.parametrize(("autoencoder", "denoiser", "factor"), [
    ({"block_out_channels": [128, 256, 512, 512]}, {"patch_size": 2}, 16),
    ({"block_out_channels": [128, 256, 512, 512]}, {}, 8),
    ({"encoder_block_out_channels": [128, 256, 512, 512, 1024, 1024]}, {"patch_size": 1}, 32),
])
def test_size_factor_is_read_from_the_configurations(
    folder: Path, autoencoder: dict[str, Any], denoiser: dict[str, Any], factor: int
) -> None:
    (folder / "vae" / "config.json").write_text(json.dumps(autoencoder))
    (folder / "unet" / "config.json").write_text(json.dumps(denoiser))
    assert model_size_factor(str(folder), "") == factor
    assert model_size_factor("owner/name", COMMIT) == 1


def test_autoencoder_without_blocks_is_refused(folder: Path) -> None:
    for part in ("vae", "unet"):
        (folder / part / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="None for block_out_channels"):
        model_size_factor(str(folder), "")


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
