"""The two samplers: deterministic, one UNet call a step, with trailing timestep spacing."""

import json
from typing import Any

import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from torch import Tensor

from generation.diffusion.folders import PipelineError, refuse_foreign_scheduler


class TrailingDDIM(DDIMScheduler):
    """DDIM that makes exactly the steps that it is asked for.

    At some step counts (61, 103, 121 and others of 1,000 timesteps) a rounding error in diffusers'
    trailing spacing adds one more step, at timestep -1.
    """

    timesteps: Tensor

    def set_timesteps(self, num_inference_steps: int, device: Any = None) -> None:
        super().set_timesteps(num_inference_steps, device)
        self.timesteps = self.timesteps[:num_inference_steps]


class TrailingDPMSolver(DPMSolverMultistepScheduler):
    """DPM-Solver++ 2M that makes exactly the steps that it is asked for; see `TrailingDDIM`."""

    timesteps: Tensor
    sigmas: Tensor

    def set_timesteps(self, num_inference_steps: int, device: Any = None, **kwargs: Any) -> None:
        super().set_timesteps(num_inference_steps, device, **kwargs)
        self.timesteps = self.timesteps[:num_inference_steps]
        self.sigmas = torch.cat([self.sigmas[:num_inference_steps], self.sigmas[-1:]])
        self.num_inference_steps = num_inference_steps


def build_scheduler(name: str, config: Any) -> Any:
    """Build a deterministic scheduler of one UNet call a step from a pipeline's own noise schedule.

    Trailing spacing starts every step count at the same timestep, so that the starting noise level
    does not depend on the step count.

    Parameters
    ----------
    name : str
        `ddim` (eta 0) or `dpmsolver++` (2M).
    config : mapping
        Of the pipeline's own scheduler.

    Returns
    -------
    TrailingDDIM or TrailingDPMSolver

    Raises
    ------
    PipelineError
        If the name is unknown, or the pipeline's own scheduler describes no such noise schedule.
    """
    if name not in ("ddim", "dpmsolver++"):
        raise PipelineError(f"unknown scheduler {name!r}: expected ddim or dpmsolver++")
    refuse_foreign_scheduler(name, config)
    if name == "ddim":
        return TrailingDDIM.from_config(config, timestep_spacing="trailing")
    return TrailingDPMSolver.from_config(
        config, timestep_spacing="trailing", algorithm_type="dpmsolver++", solver_order=2,
        solver_type="midpoint", final_sigmas_type="zero", use_karras_sigmas=False,
    )


def describe_scheduler(scheduler: Any) -> dict[str, Any]:
    """Return the configuration under the name of the class that diffusers has.

    Parameters
    ----------
    scheduler : diffusers.SchedulerMixin

    Returns
    -------
    dict
        JSON values.
    """
    config: dict[str, Any] = json.loads(scheduler.to_json_string())
    original = next(kind for kind in type(scheduler).mro()
                    if kind.__module__.startswith("diffusers."))
    return config | {"_class_name": original.__name__}
