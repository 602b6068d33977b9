"""The three perceptual metrics whose growth with the step count a budget is read from.

The paper (BudgetFusion, arXiv 2412.05780) names L-SNR, D-SIM and I-CLIP; the formulas here are
our definitions, since its own were not at hand.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

# Which way each metric improves, and the name it is shown under.
LSNR, PATCH_COSINE, ICLIP = "l-snr", "patch-cosine", "i-clip"
METRICS = (LSNR, PATCH_COSINE, ICLIP)
HIGHER_IS_BETTER = {LSNR: True, PATCH_COSINE: False, ICLIP: True}

_LUMA = (0.299, 0.587, 0.114)
_LAPLACIAN_DIFFERENCE = ((1.0, -2.0, 1.0), (-2.0, 4.0, -2.0), (1.0, -2.0, 1.0))
# Rounding to 8 bits leaves this much noise in any image, so no estimate can fall below it.
_QUANTISATION_NOISE = 1 / (255 * math.sqrt(12))


def laplacian_snr(images: Tensor) -> Tensor:
    """Signal-to-noise ratio of each image against its own estimated noise level.

    The signal is the root mean square of the luminance; the noise is its standard deviation as
    the Laplacian-difference mask estimates it. Fine texture raises the noise estimate too, so
    values compare images of one prompt, not of different prompts.

    Parameters
    ----------
    images : Tensor, shape (N, 3, H, W)
        RGB in [0, 1]; H and W at least 3.

    Returns
    -------
    Tensor, shape (N,)
        Decibels, at most 58.9 (8-bit rounding is taken as the noise floor); higher is better.

    References
    ----------
    Immerkaer (1996), Computer Vision and Image Understanding 64(2), 300-302: the noise estimate.
    """
    if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < 3:
        raise ValueError(f"expected images (N, 3, H >= 3, W >= 3), got {tuple(images.shape)}")
    luma = torch.tensor(_LUMA, dtype=images.dtype, device=images.device)
    luminance = torch.einsum("nchw,c->nhw", images, luma)[:, None]  # (N, 1, H, W)
    mask = images.new_tensor(_LAPLACIAN_DIFFERENCE)[None, None]
    response = functional.conv2d(luminance, mask).abs().mean((1, 2, 3))  # (N,)
    noise = (math.sqrt(math.pi / 2) / 6 * response).clamp_min(_QUANTISATION_NOISE)
    signal = luminance.square().mean((1, 2, 3)).sqrt().clamp_min(_QUANTISATION_NOISE)
    return 20 * torch.log10(signal / noise)


def patch_cosine_distance(patches: Tensor, reference: Tensor) -> Tensor:
    """Mean cosine distance between the patch tokens of images and of their references.

    Stands in for DreamSim's D-SIM where that package is not installed, under its own name.

    Parameters
    ----------
    patches, reference : Tensor, shape (N, P, C)
        Patch tokens of an image encoder.

    Returns
    -------
    Tensor, shape (N,)
        From 0 (the same) to 2; lower is better.
    """
    if patches.shape != reference.shape:
        raise ValueError(f"shapes differ: {tuple(patches.shape)}, {tuple(reference.shape)}")
    return (1 - functional.cosine_similarity(patches, reference, dim=-1)).mean(-1).clamp(0, 2)


def image_similarity(embeddings: Tensor, reference: Tensor) -> Tensor:
    """I-CLIP: cosine similarity of projected CLIP image embeddings.

    Parameters
    ----------
    embeddings, reference : Tensor, shape (N, D)

    Returns
    -------
    Tensor, shape (N,)
        From -1 to 1 (the same); higher is better.
    """
    if embeddings.shape != reference.shape:
        raise ValueError(f"shapes differ: {tuple(embeddings.shape)}, {tuple(reference.shape)}")
    return functional.cosine_similarity(embeddings, reference, dim=-1)
