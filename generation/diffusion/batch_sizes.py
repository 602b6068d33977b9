"""How many images share a UNet call: a first guess, and what running out of memory has taught."""

import torch

# Where more slots stopped paying: two CPU cores are busy with 16, large GPUs with 32 of 512 x 512.
_CPU_SLOTS = 16
_GPU_SLOTS = 32
_GPU_PIXELS = 512 * 512
_MOST_GPU_SLOTS = 64

# By everything that memory depends on; for the life of the process.
_learned: dict[tuple[object, ...], int] = {}


def slots_for(device: torch.device, key: tuple[object, ...], *, pixels: int) -> int:
    """Choose the number of slots for a kind of image.

    Parameters
    ----------
    device : torch.device
    key : tuple
        Model, resolution and dtype, as `remember_slots` was told.
    pixels : int
        Width times height.
    """
    if key in _learned:
        return _learned[key]
    if device.type != "cuda":
        return _CPU_SLOTS
    return max(1, min(_MOST_GPU_SLOTS, _GPU_SLOTS * _GPU_PIXELS // pixels))


def remember_slots(key: tuple[object, ...], num_slots: int) -> None:
    """Start with this many the next time."""
    _learned[key] = num_slots
