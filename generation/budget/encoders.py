"""The image encoder that the metrics compare images with."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPVisionModelWithProjection


@dataclass(frozen=True)
class ImageEncoder:
    """A CLIP vision tower with its own input size and normalisation."""

    vision: CLIPVisionModelWithProjection
    mean: Tensor
    deviation: Tensor

    @classmethod
    def from_folder(cls, folder: Path, *, device: str = "cpu") -> "ImageEncoder":
        """Load the CLIP in `folder`; raise ValueError, naming the path, if there is none.

        A `preprocessor_config.json` beside it gives the normalisation; without one the encoder is
        taken to expect pixels in [-1, 1], as the embedded one does.
        """
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} holds no CLIP model (config.json and safetensors)")
        vision = CLIPVisionModelWithProjection.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True
        )
        settings = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        if (folder / "preprocessor_config.json").is_file():
            settings |= json.loads((folder / "preprocessor_config.json").read_text())
        mean, deviation = (torch.tensor(settings[key], device=device)[:, None, None]
                           for key in ("image_mean", "image_std"))
        return cls(vision.eval().to(device), mean, deviation)

    @torch.inference_mode()
    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Embed images.

        Parameters
        ----------
        images : Tensor, shape (N, 3, H, W)
            RGB in [0, 1].

        Returns
        -------
        embeddings : Tensor, shape (N, D)
            Projected, as I-CLIP compares them.
        patches : Tensor, shape (N, P, C)
            Tokens of the last layer, without the class token.
        """
        size = self.vision.config.image_size
        if images.shape[-2:] != (size, size):
            images = functional.interpolate(images, (size, size), mode="bicubic", antialias=True)
        output = self.vision(pixel_values=(images - self.mean) / self.deviation)
        return output.image_embeds, output.last_hidden_state[:, 1:]
