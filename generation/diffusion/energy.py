"""Reading how much energy a GPU has used. Where that cannot be read, nothing is made up."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from generation.diffusion.costs import ReadJoules

logger = logging.getLogger(__name__)


def device_uuid(device: torch.device) -> str:
    """Return a CUDA device's UUID as NVML spells it.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    str
    """
    return f"GPU-{str(torch.cuda.get_device_properties(device).uuid).removeprefix('GPU-')}"


def find_energy_counter(
    device: torch.device, *, nvml: Any = None, uuid_of: Callable[[torch.device], str] = device_uuid
) -> ReadJoules | None:
    """Find the total-energy counter of the device that torch computes on.

    Torch numbers the devices that CUDA_VISIBLE_DEVICES leaves, NVML all of them, so the two are
    matched by UUID. A part of a divided GPU (MIG) has a UUID of its own and no counter.

    Parameters
    ----------
    device : torch.device
    nvml : module, optional
        `pynvml`, or what stands for it in a test.
    uuid_of : callable, optional

    Returns
    -------
    callable or None
        Returns joules used since the driver was loaded, by the whole device; None when a reading
        fails. There is no callable for a CPU, and where NVML does not answer.
    """
    if device.type != "cuda":
        return None
    nvml = nvml or _import_nvml()
    if nvml is None:
        return None
    try:
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid_of(device))
        nvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # GPUs before Volta have no counter.
    except nvml.NVMLError as error:
        logger.info("Energy cannot be read.", extra={"device": str(device), "why": str(error)})
        return None
    return partial(_read_joules, nvml, handle)


def _import_nvml() -> Any:
    try:
        import pynvml  # Of no use without an NVIDIA driver, so not loaded before it is needed.
    except ImportError:
        logger.info("Energy cannot be read: nvidia-ml-py is not installed.")
        return None
    return pynvml


def _read_joules(nvml: Any, handle: Any) -> float | None:
    try:
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000  # From millijoules.
    except nvml.NVMLError:
        return None
