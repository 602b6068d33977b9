"""A meter for the device that a pipeline is on."""

import time
from collections.abc import Callable

import torch

from generation.diffusion.costs import CostMeter
from generation.diffusion.energy import find_energy_counter


def make_meter(device: torch.device) -> CostMeter:
    """Make a meter whose clock waits for the device, and which reads its energy where it can.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    CostMeter
    """
    return CostMeter(clock=device_clock(device), joules=find_energy_counter(device),
                     device=device.type)


def device_clock(device: torch.device) -> Callable[[], float]:
    """Return a clock that is read once the device has done all it was asked for.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    callable
        Returns seconds, and never goes back.
    """
    if device.type != "cuda":
        return time.perf_counter

    def clock() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return clock
