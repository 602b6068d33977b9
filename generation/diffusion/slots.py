"""A batch whose places stand at different steps: one UNet call advances all of them.

Step counts differ by prompt, so a batch of whole images would wait for its longest. Here each slot
has a timetable, a guidance scale and a position of its own, and is given away as soon as its image
is finished. The shape never changes: idle slots are carried along, because another shape would
change the last bits of every image (and, on a GPU, which kernels run).
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from generation.diffusion.conditioning import Conditioning
from generation.diffusion.cpu_parts import call_in_parts
from generation.diffusion.timetables import Timetable

# Keeps an idle slot's latent as it is.
_STAND_STILL = (0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Sitter:
    """What one slot works on.

    Attributes
    ----------
    index : int
        Whatever the caller knows the image by.
    timetable : Timetable
    guidance : float
        Scale of classifier-free guidance; not read where the batch has none.
    conditioning : Conditioning
    noise : Tensor, shape (1, C, h, w)
    """

    index: int
    timetable: Timetable
    guidance: float
    conditioning: Conditioning
    noise: Tensor


class SlotBatch:
    """A fixed number of slots on one UNet.

    Parameters
    ----------
    unet : UNet2DConditionModel
    num_slots : int
    unconditional : Conditioning, optional
        Turns classifier-free guidance on, for every slot.
    size_ids : Tensor of shape (6,), optional
        SDXL's sizes, the same for every slot.
    """

    def __init__(
        self, unet: Any, *, num_slots: int, unconditional: Conditioning | None,
        size_ids: Tensor | None,
    ) -> None:
        self._unet = unet
        self._size_ids = size_ids
        self._unconditional = unconditional
        self._sitters: list[Sitter | None] = [None] * num_slots
        self._positions = [0] * num_slots
        self._buffers: _Buffers | None = None

    @property
    def num_slots(self) -> int:
        return len(self._sitters)

    def indexes(self) -> list[int]:
        """What is in work, in the order of the slots."""
        return [sitter.index for sitter in self._sitters if sitter is not None]

    def has_room(self) -> bool:
        return None in self._sitters

    def seat(self, sitter: Sitter) -> None:
        """Give a free slot to an image; raise ValueError if there is none."""
        slot = self._sitters.index(None)
        if self._buffers is None:
            self._buffers = _Buffers.like(sitter, num_slots=self.num_slots,
                                          unconditional=self._unconditional, unet=self._unet)
        self._buffers.load(slot, sitter)
        self._sitters[slot], self._positions[slot] = sitter, 0

    def drop(self, indexes: Collection[int]) -> None:
        """Free the slots of images that are no longer wanted."""
        for slot, sitter in enumerate(self._sitters):
            if sitter is not None and sitter.index in indexes:
                self._free(slot)

    @torch.inference_mode()
    def advance(self) -> list[tuple[int, Tensor]]:
        """Make one UNet call; return each finished image's index and latent (1, C, h, w)."""
        buffers = self._buffers
        if buffers is None:
            return []
        timesteps, coefficients = self._here()
        buffers.step(self._predict(buffers, timesteps), coefficients)
        finished = []
        for slot, sitter in enumerate(self._sitters):
            if sitter is None:
                continue
            self._positions[slot] += 1
            if self._positions[slot] == len(sitter.timetable.timesteps):
                finished.append((sitter.index, buffers.latents[slot:slot + 1].clone()))
                self._free(slot)
        return finished

    def _here(self) -> tuple[Tensor, Tensor]:
        """Every slot's timestep (B,) and coefficients (5, B, 1, 1, 1), on the UNet's device."""
        timesteps = torch.zeros(self.num_slots, dtype=torch.int64)
        coefficients = torch.tensor(_STAND_STILL).repeat(self.num_slots, 1)  # (B, 5)
        for slot, sitter in enumerate(self._sitters):
            if sitter is not None:
                timesteps[slot] = sitter.timetable.timesteps[self._positions[slot]]
                coefficients[slot] = sitter.timetable.coefficients[self._positions[slot]]
        device = self._unet.device
        return (timesteps.to(device, non_blocking=True),
                coefficients.T.to(device, non_blocking=True)[..., None, None, None])

    def _predict(self, buffers: "_Buffers", timesteps: Tensor) -> Tensor:
        """The UNet's output for every slot, guided where the batch is: (B, C, h, w) float32."""
        copies = len(buffers.context) // self.num_slots
        noisy = buffers.latents.to(self._unet.dtype).repeat(copies, 1, 1, 1)
        output = call_in_parts(
            self._unet, noisy, timesteps.repeat(copies), context=buffers.context,
            added=buffers.added(self._size_ids),
        ).float()  # (copies * B, C, h, w)
        if copies == 1:
            return output
        without, following = output.chunk(2)
        return without + buffers.guidance * (following - without)

    def _free(self, slot: int) -> None:
        self._sitters[slot] = None
        if self._buffers is not None:
            self._buffers.clear(slot)


@dataclass(frozen=True)
class _Buffers:
    """The slots' tensors. Without conditioning first, with it second, as the pipelines order it.

    latents, previous : (B, C, h, w) float32, also where the UNet computes in half precision
    guidance : (B, 1, 1, 1) float32
    context : (B or 2B, T, E)
    pooled : (B or 2B, P), or None
    """

    latents: Tensor
    previous: Tensor
    guidance: Tensor
    context: Tensor
    pooled: Tensor | None

    @classmethod
    def like(cls, sitter: Sitter, *, num_slots: int, unconditional: Conditioning | None,
             unet: Any) -> "_Buffers":
        def repeated(given: Tensor, without: Tensor | None) -> Tensor:
            halves = [torch.zeros_like(given)] if without is None else [without, given]
            return torch.cat([half.expand(num_slots, *half.shape) for half in halves]).clone()

        given = sitter.conditioning
        context = repeated(given.context, None if unconditional is None else unconditional.context)
        pooled = None if given.pooled is None else repeated(
            given.pooled, None if unconditional is None else unconditional.pooled)
        latents = torch.zeros(num_slots, *sitter.noise.shape[1:], device=unet.device)
        return cls(latents=latents, previous=torch.zeros_like(latents),
                   guidance=torch.ones(num_slots, 1, 1, 1, device=unet.device),
                   context=context, pooled=pooled)

    def load(self, slot: int, sitter: Sitter) -> None:
        self.latents[slot] = sitter.noise[0]
        self.previous[slot] = 0
        self.guidance[slot] = sitter.guidance
        # The conditional half is the last one, or the only one.
        row = slot - len(self.latents)
        self.context[row] = sitter.conditioning.context
        if self.pooled is not None and sitter.conditioning.pooled is not None:
            self.pooled[row] = sitter.conditioning.pooled

    def step(self, output: Tensor, coefficients: Tensor) -> None:
        """Apply the formulas of `timetables` in place."""
        of_latent, of_output, next_latent, next_clean, next_previous = coefficients
        clean = of_latent * self.latents + of_output * output
        self.latents.mul_(next_latent).add_(next_clean * clean).add_(next_previous * self.previous)
        self.previous.copy_(clean)

    def clear(self, slot: int) -> None:
        """Leave nothing behind that could grow or turn into something that is no number."""
        self.latents[slot] = 0
        self.previous[slot] = 0

    def added(self, size_ids: Tensor | None) -> dict[str, Tensor] | None:
        if self.pooled is None or size_ids is None:
            return None
        return {"text_embeds": self.pooled,
                "time_ids": size_ids.expand(len(self.context), len(size_ids))}
