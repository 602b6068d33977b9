"""What the UNet is told of a prompt, encoded once for each prompt."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from diffusers import StableDiffusionXLPipeline
from torch import Tensor

# Of SDXL one is about 0.3 MB; prompts of one study come back with each of their step counts.
_KEPT_PROMPTS = 512


@dataclass(frozen=True)
class Conditioning:
    """One prompt's conditioning.

    Attributes
    ----------
    context : Tensor, shape (T, E)
        For the UNet's cross attention.
    pooled : Tensor of shape (P,), optional
        SDXL's second text encoder's summary.
    """

    context: Tensor
    pooled: Tensor | None


@lru_cache(maxsize=2)  # As many as pipelines are kept.
def encoder_of(pipeline: Any) -> "PromptEncoder":
    """The one encoder of a pipeline, which remembers what it has encoded.

    Parameters
    ----------
    pipeline : StableDiffusionPipeline or StableDiffusionXLPipeline

    Returns
    -------
    PromptEncoder
    """
    return PromptEncoder(pipeline)


class PromptEncoder:
    """Encodes prompts one at a time, so that an embedding never depends on its neighbours."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._is_xl = isinstance(pipeline, StableDiffusionXLPipeline)
        self._known: dict[str, Conditioning] = {}
        self._unconditional: Conditioning | None = None

    def encode(self, prompt: str) -> Conditioning:
        """Encode a prompt, or return what was kept of it."""
        if prompt not in self._known:
            if len(self._known) == _KEPT_PROMPTS:
                self._known.clear()
            self._known[prompt] = self._encode(prompt)
        return self._known[prompt]

    def unconditional(self) -> Conditioning:
        """What classifier-free guidance leads away from, as the pipeline itself makes it."""
        self._unconditional = self._unconditional or self._encode_nothing()
        return self._unconditional

    @torch.inference_mode()
    def _encode_nothing(self) -> Conditioning:
        encoded = self._pipeline.encode_prompt(
            "", device=self._pipeline.device, num_images_per_prompt=1,
            do_classifier_free_guidance=True,
        )
        return Conditioning(encoded[1][0], encoded[3][0] if self._is_xl else None)

    @torch.inference_mode()
    def _encode(self, prompt: str) -> Conditioning:
        encoded = self._pipeline.encode_prompt(
            prompt, device=self._pipeline.device, num_images_per_prompt=1,
            do_classifier_free_guidance=False,
        )
        return Conditioning(encoded[0][0], encoded[2][0] if self._is_xl else None)

    def size_ids(self, *, width: int, height: int) -> Tensor | None:
        """SDXL's original size, crop and target size, (6,) in pixels; None for other pipelines."""
        if not self._is_xl:
            return None
        ids = [height, width, 0, 0, height, width]
        return torch.tensor(ids, device=self._pipeline.device, dtype=self._pipeline.unet.dtype)
