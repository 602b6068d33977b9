"""Calling a UNet on a CPU in parts, each on cores of its own.

PyTorch divides every single operation among the cores and waits at its end for the slowest; a small
network waits for much of its time. The parts of a batch need not wait for each other.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

# More parts would wait for Python's own lock instead.
_MOST_PARTS = 4


class PartedUNet:
    """A UNet whose rows are computed in parts, always the same ones for the same number of rows.

    Parameters
    ----------
    unet : UNet2DConditionModel
        On a CPU. On another device, or with one thread, it is called as it is.
    """

    def __init__(self, unet: Any) -> None:
        self._unet = unet
        self._num_threads = torch.get_num_threads() if unet.device.type == "cpu" else 1
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def __call__(
        self, noisy: Tensor, timesteps: Tensor, *, context: Tensor, added: dict[str, Tensor] | None
    ) -> Tensor:
        """Return the UNet's output, (N, C, h, w), for N rows of every argument."""
        num_parts = _parts(len(noisy), self._num_threads)
        arguments = [noisy, timesteps, context, *(added or {}).values()]
        names = list(added or {})
        if num_parts == 1:
            return self._part(names, *arguments)
        parts = zip(*(argument.chunk(num_parts) for argument in arguments), strict=True)
        found = self._pool(num_parts).map(lambda part: self._part(names, *part), parts)
        return torch.cat(list(found))

    @torch.inference_mode()
    def _part(
        self, names: list[str], noisy: Tensor, timesteps: Tensor, context: Tensor, *added: Tensor
    ) -> Tensor:
        output: Tensor = self._unet(
            noisy.contiguous(memory_format=torch.channels_last), timesteps,
            encoder_hidden_states=context, return_dict=False,
            added_cond_kwargs=dict(zip(names, added, strict=True)) or None,
        )[0]
        return output

    def _pool(self, num_parts: int) -> ThreadPoolExecutor:
        if num_parts not in self._pools:
            self._pools[num_parts] = ThreadPoolExecutor(
                num_parts, thread_name_prefix="unet",
                # How many threads an operation gets is a property of the thread that asks for it.
                initializer=torch.set_num_threads, initargs=(self._num_threads // num_parts,),
            )
        return self._pools[num_parts]


def _parts(num_rows: int, num_threads: int) -> int:
    """The largest number of equal parts that the threads can work on at once."""
    most = min(num_rows, num_threads, _MOST_PARTS)
    return max(parts for parts in range(1, most + 1) if num_rows % parts == 0)
