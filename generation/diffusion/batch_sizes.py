"""How many images share a UNet call: a first guess, and what running out of memory has taught."""

import gc

import torch

from generation.diffusion.recipes import Recipe

# Where more slots stopped paying: two CPU cores are busy with 16, large GPUs with 32 of 512 x 512.
_CPU_SLOTS = 16
_GPU_SLOTS = 32
_GPU_PIXELS = 512 * 512
_MOST_GPU_SLOTS = 64

# The CPU's allocator raises a plain RuntimeError, in these words on Linux and on Windows.
_CPU_IS_FULL = ("DefaultCPUAllocator: can't allocate memory", "not enough memory")

# By everything that memory depends on; for the life of the process.
_learned: dict[tuple[object, ...], int] = {}


def slots_for(
    device: torch.device, key: tuple[object, ...], *, pixels: int, wanted: int | None = None
) -> int:
    """Choose the number of slots for a kind of image.

    Parameters
    ----------
    device : torch.device
    key : tuple
        Model, resolution and dtype, as `remember_slots` was told.
    pixels : int
        Width times height.
    wanted : int, optional
        A number in place of the first guess; where memory ran out, the smaller one counts.

    Returns
    -------
    int
        At least 1.
    """
    guess = wanted or _first_guess(device, pixels)
    return min(guess, _learned.get(key, guess))


def _first_guess(device: torch.device, pixels: int) -> int:
    if device.type != "cuda":
        return _CPU_SLOTS
    return max(1, min(_MOST_GPU_SLOTS, _GPU_SLOTS * _GPU_PIXELS // pixels))


def remember_slots(key: tuple[object, ...], num_slots: int) -> None:
    """Start with this many the next time.

    Parameters
    ----------
    key : tuple
        All that the memory of a slot depends on.
    num_slots : int
        As many as memory was enough for, at least 1.
    """
    _learned[key] = num_slots


def is_out_of_memory(error: BaseException) -> bool:
    """Whether fewer images at once may help, on a GPU or a CPU.

    Parameters
    ----------
    error : BaseException
        As torch raised it.

    Returns
    -------
    bool
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _CPU_IS_FULL)


def too_large(recipe: Recipe) -> str:
    """Say what to change where not even one image fits.

    Parameters
    ----------
    recipe : Recipe

    Returns
    -------
    str
        For the experimenter, with the size in pixels.
    """
    return (
        f"the device's memory is too small for even one image of {recipe.width} x {recipe.height} "
        "pixels: render smaller images, choose a smaller model, or use a device with more memory"
    )


def free_memory() -> None:
    """Give back what no living object holds."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
