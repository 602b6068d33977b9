"""What sampling a recipe gives: an image and its cost, or the reason why there is none."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

# Given the indexes in work, returns those that nobody wants any more.
Unwanted = Callable[[Collection[int]], Collection[int]]


def want_all(indexes: Collection[int]) -> Collection[int]:
    """Drop nothing.

    Parameters
    ----------
    indexes : collection of int

    Returns
    -------
    collection of int
        Empty.
    """
    return ()


class SamplingError(ValueError):
    """One image could not be made; the message says why, and others are not concerned."""


@dataclass(frozen=True)
class Sampled:
    """An image and what it cost.

    Parameters
    ----------
    image : PIL.Image.Image
        RGB, without metadata.
    unet_evaluations : int
        How many latents of this image passed through the UNet, or the transformer that stands for
        it. With classifier-free guidance the conditional and the unconditional latent of a step
        count separately, so n steps cost 2n evaluations; without guidance n.
    seconds : float
        Wall time from the prompt to the image, model loading excluded; in a batch, this image's
        share by UNet evaluations. Lower is better.
    joules : float, optional
        Energy of the device, shared out like the seconds; None where it cannot be read.
    provenance : dict
        JSON values: how the costs were measured, device, dtype, batch size, library versions,
        scheduler configuration.
    """

    image: Image.Image
    unet_evaluations: int
    seconds: float
    joules: float | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
