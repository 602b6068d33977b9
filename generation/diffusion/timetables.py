"""Timetables: what each UNet call of a step count does to a latent, as five numbers.

The schedulers of diffusers advance all images of a batch together. A table of coefficients, made
from the very scheduler that a pipeline would use, lets each image stand at a step of its own:

    clean = a * latent + b * output
    next latent = c * latent + d * clean + e * previous clean

DDIM (eta 0) needs no previous clean latent; DPM-Solver++ 2M does, but at its first and last step.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from generation.diffusion.schedulers import TrailingDDIM, TrailingDPMSolver


@dataclass(frozen=True)
class Timetable:
    """A step count's timesteps and coefficients.

    Attributes
    ----------
    timesteps : Tensor of int64, shape (n,)
        What the UNet is told, falling.
    coefficients : Tensor of float32, shape (n, 5)
        a, b, c, d and e of the formulas above.
    """

    timesteps: Tensor
    coefficients: Tensor


def can_tabulate(scheduler: Any) -> bool:
    """Whether a scheduler's step is linear, so that a table says all of it.

    Parameters
    ----------
    scheduler : diffusers.SchedulerMixin

    Returns
    -------
    bool
    """
    if not isinstance(scheduler, TrailingDDIM | TrailingDPMSolver):
        return False  # Others have other settings.
    config = scheduler.config
    is_linear = not config.thresholding and not config.get("clip_sample", False)
    return is_linear and config.prediction_type in ("epsilon", "v_prediction")


def tabulate(scheduler: Any, num_steps: int) -> Timetable:
    """Make the timetable of a step count from a scheduler that `can_tabulate` accepts.

    Parameters
    ----------
    scheduler : TrailingDDIM or TrailingDPMSolver
    num_steps : int
        From 1 to the number of timesteps that the model was trained on.

    Returns
    -------
    Timetable

    Raises
    ------
    ValueError
        If the scheduler's step is not linear, or it was trained on fewer timesteps.

    References
    ----------
    Song, Meng and Ermon (2021), Denoising Diffusion Implicit Models, eq. 12 with eta 0.
    Lu et al. (2022), DPM-Solver++, algorithm 2 (2M), in the midpoint form that diffusers uses.
    """
    if not can_tabulate(scheduler):
        raise ValueError(f"{type(scheduler).__name__} with {dict(scheduler.config)} is not linear")
    most = scheduler.config.num_train_timesteps
    if not 1 <= num_steps <= most:
        raise ValueError(f"expected 1 to {most} steps, got {num_steps}")
    scheduler.set_timesteps(num_steps)
    solve = _solve_ddim if isinstance(scheduler, TrailingDDIM) else _solve_dpm
    coefficients = solve(scheduler).to(torch.float32)  # (n, 5)
    return Timetable(scheduler.timesteps.to(torch.int64).cpu(), coefficients)


def _solve_ddim(scheduler: TrailingDDIM) -> Tensor:
    timesteps = scheduler.timesteps.cpu()
    # The scheduler's own stride, which is not always the next entry of its table.
    following = timesteps - scheduler.config.num_train_timesteps // len(timesteps)
    cumulative = scheduler.alphas_cumprod.double()
    here = cumulative[timesteps]
    there = torch.where(following >= 0, cumulative[following.clamp_min(0)],
                        scheduler.final_alpha_cumprod.double())
    alpha, sigma = here.sqrt(), (1 - here).sqrt()
    next_alpha, next_sigma = there.sqrt(), (1 - there).sqrt()
    from_latent = next_sigma / sigma
    return torch.stack([
        *_clean(scheduler, alpha, sigma),
        from_latent, next_alpha - from_latent * alpha, torch.zeros_like(alpha),
    ], dim=1)  # (n, 5)


def _solve_dpm(scheduler: TrailingDPMSolver) -> Tensor:
    noise = scheduler.sigmas.double()  # (n + 1,): sigma / alpha, 0 at the end.
    alpha = 1 / (noise.square() + 1).sqrt()
    sigma = noise * alpha
    log_snr = alpha.log() - sigma.log()  # Infinite at the end.
    stride = log_snr.diff()              # (n,)
    weight = alpha[1:] * (1 - torch.exp(-stride))
    # How far the last change of the clean latent is carried on; not at the ends.
    carried = torch.zeros_like(stride)
    carried[1:-1] = 0.5 * stride[1:-1] / stride[:-2]
    return torch.stack([
        *_clean(scheduler, alpha[:-1], sigma[:-1]),
        sigma[1:] / sigma[:-1], weight * (1 + carried), -weight * carried,
    ], dim=1)  # (n, 5)


def _clean(scheduler: Any, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """How the clean latent follows from the noisy one and from the UNet's output."""
    if scheduler.config.prediction_type == "epsilon":
        return 1 / alpha, -sigma / alpha
    return alpha, -sigma
