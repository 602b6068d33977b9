"""One training loop for every network: progress, checkpoints, resume.

Checkpoints are safetensors files, replaced atomically. A resumed run continues with the same
batches, because each step draws from a generator seeded by the step's number.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

CHECKPOINT_SECONDS = 60.0
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train: linear warm-up, then a cosine to one hundredth."""

    num_steps: int
    peak_rate: float
    warmup_steps: int = 200
    average_decay: float = 0.998

    def rate(self, step: int) -> float:
        warm = min(1.0, (step + 1) / self.warmup_steps)
        cosine = 0.5 * (1 + torch.cos(torch.tensor(torch.pi * step / self.num_steps)).item())
        return self.peak_rate * warm * (0.01 + 0.99 * cosine)


def fit(
    network: nn.Module,
    loss_at: Callable[[int], Tensor],
    *,
    schedule: Schedule,
    checkpoint: Path,
    report: Progress,
) -> None:
    """Train `network` in place; at the end its weights are their exponential moving average.

    Parameters
    ----------
    network : nn.Module
        All that `loss_at` trains.
    loss_at : callable
        Step number to a scalar loss, lower is better.
    checkpoint : Path
        Where to write, and what to resume from.
    report : callable
        Receives a line of progress now and then.
    """
    parameters = dict(network.named_parameters())
    optimizer = torch.optim.AdamW(parameters.values(), lr=1.0, betas=(0.9, 0.99), weight_decay=0.01)
    averages = {name: tensor.detach().clone() for name, tensor in parameters.items()}
    first = _restore(checkpoint, parameters, averages=averages, optimizer=optimizer)
    started = saved = time.monotonic()
    recent: list[float] = []
    for step in range(first, schedule.num_steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        loss = loss_at(step)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        decay = min(schedule.average_decay, (step + 1) / (step + 10))
        torch._foreach_lerp_(list(averages.values()), list(parameters.values()), 1 - decay)
        recent.append(loss.item())
        is_last = step + 1 == schedule.num_steps
        if is_last or time.monotonic() - saved > CHECKPOINT_SECONDS:
            saved = time.monotonic()
            _store(checkpoint, parameters, averages=averages, optimizer=optimizer, step=step + 1)
            seconds_left = (saved - started) / (step + 1 - first) * (schedule.num_steps - step - 1)
            report(f"{checkpoint.stem}: step {step + 1} of {schedule.num_steps}, "
                   f"loss {sum(recent) / len(recent):.4f}, {seconds_left / 60:.0f} min left")
            recent.clear()
    with torch.no_grad():
        for name, tensor in parameters.items():
            tensor.copy_(averages[name])


def _store(
    path: Path, parameters: dict[str, nn.Parameter], *, averages: dict[str, Tensor],
    optimizer: torch.optim.Optimizer, step: int,
) -> None:
    tensors = {"step": torch.tensor(step)}
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        tensors[f"value/{name}"] = parameter.detach()
        tensors[f"average/{name}"] = averages[name]
        if state:  # A parameter that no loss has reached yet has none.
            tensors[f"first/{name}"] = state["exp_avg"]
            tensors[f"second/{name}"] = state["exp_avg_sq"]
    partial = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
    os.replace(partial, path)


def _restore(
    path: Path, parameters: dict[str, nn.Parameter], *, averages: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    """Load a checkpoint into the arguments; return the step to go on with."""
    if not path.exists():
        return 0
    tensors = load_file(path)
    step = int(tensors["step"])
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"value/{name}"])
            averages[name].copy_(tensors[f"average/{name}"])
            if f"first/{name}" in tensors:
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(step)),
                    "exp_avg": tensors[f"first/{name}"].to(parameter.device),
                    "exp_avg_sq": tensors[f"second/{name}"].to(parameter.device),
                }
    return step
