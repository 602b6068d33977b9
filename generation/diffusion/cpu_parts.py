"""Calling a UNet on a CPU in parts, each on cores of its own.

PyTorch divides every single operation among the cores and waits at its end for the slowest; a small
network waits for much of its time. The parts of a batch need not wait for each other.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

# More parts would wait for Python's own lock instead.
_MOST_PARTS = 4


def call_in_parts(
    unet: Any, noisy: Tensor, timesteps: Tensor, *, context: Tensor,
    added: dict[str, Tensor] | None,
) -> Tensor:
    """Call a UNet; on a CPU in parts, always the same ones for the same number of rows.

    Parameters
    ----------
    unet : UNet2DConditionModel
        On another device than a CPU, or with one thread, it is called as it is.
    noisy : Tensor, shape (N, C, h, w)
        Latents in the UNet's dtype.
    timesteps : Tensor of int64, shape (N,)
    context : Tensor, shape (N, T, E)
        For cross attention.
    added : dict of str to Tensor, shape (N, ...), optional
        SDXL's further conditioning.

    Returns
    -------
    Tensor, shape (N, C, h, w)
        The UNet's output, in its dtype.
    """
    num_threads = torch.get_num_threads() if unet.device.type == "cpu" else 1
    num_parts = _num_parts(len(noisy), num_threads)
    arguments = [noisy, timesteps, context, *(added or {}).values()]
    call = partial(_call, unet, list(added or {}))
    if num_parts == 1:
        return call(*arguments)
    parts = zip(*(argument.chunk(num_parts) for argument in arguments), strict=True)
    found = _pool(num_parts, num_threads // num_parts).map(lambda part: call(*part), parts)
    return torch.cat(list(found))


@torch.inference_mode()
def _call(
    unet: Any, names: list[str], noisy: Tensor, timesteps: Tensor, context: Tensor, *added: Tensor
) -> Tensor:
    output: Tensor = unet(
        noisy.contiguous(memory_format=torch.channels_last), timesteps,
        encoder_hidden_states=context, return_dict=False,
        added_cond_kwargs=dict(zip(names, added, strict=True)) or None,
    )[0]
    return output


@lru_cache
def _pool(num_parts: int, threads_each: int) -> ThreadPoolExecutor:
    """Threads for the life of the process: a new batch, of which there are many, starts none."""
    return ThreadPoolExecutor(
        num_parts, thread_name_prefix="unet",
        # Each thread has its own setting and starts with all cores: left so, every part would
        # occupy all of them and wait for the others. The caller's setting stays as it is.
        initializer=torch.set_num_threads, initargs=(threads_each,),
    )


def _num_parts(num_rows: int, num_threads: int) -> int:
    """The largest number of equal parts that the threads can work on at once."""
    most = min(num_rows, num_threads, _MOST_PARTS)
    return max(parts for parts in range(1, most + 1) if num_rows % parts == 0)
