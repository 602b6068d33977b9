"""Train the BiLSTM on measured curves."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from generation.budget.curves import TOLERANCE
from generation.budget.measuring import MeasuredCurves
from generation.budget.network import CurveNetwork, NetworkSize, curve_targets, pad_tokens
from generation.budget.prediction import BudgetPredictor, save_predictor
from generation.budget.tokens import TokenCounter

_BATCH_PROMPTS = 32


@dataclass(frozen=True)
class Split:
    """Prompts of each part; the parts share none."""

    train: list[str]
    validation: list[str]
    test: list[str]


def split_prompts(prompts: Sequence[str], *, seed: int = 0) -> Split:
    """Shuffle into 70% to train on, 10% to stop by, 20% held out."""
    if len(prompts) < 20:
        raise ValueError(f"training needs curves of at least 20 prompts, got {len(prompts)}")
    order = np.random.default_rng(seed).permutation(sorted(set(prompts))).tolist()
    first, second = round(0.7 * len(order)), round(0.8 * len(order))
    return Split(order[:first], order[first:second], order[second:])


def train_predictor(
    curves: dict[str, MeasuredCurves], split: Split, *, tokens: TokenCounter, embedding: Tensor,
    out: Path, num_epochs: int = 100, report: Callable[[str], None],
) -> BudgetPredictor:
    """Train on the first part, keep the epoch best on the second, write the folder `out`.

    Parameters
    ----------
    curves : dict of str to MeasuredCurves
        By prompt, averaged over seeds, all on one step grid.
    split : Split
    tokens : TokenCounter
        The diffusion model's tokenizer.
    embedding : Tensor, shape (V, E)
        Its text encoder's token embeddings, which stay as they are.
    out : Path
    num_epochs : int
    report : callable
        Receives a line of progress now and then.
    """
    torch.manual_seed(0)
    sample = curves[split.train[0]]
    size = NetworkSize(*embedding.shape)
    network = CurveNetwork(size, num_metrics=len(sample.curves), num_steps=len(sample.steps))
    train, validation = (_batch_of(curves, part, tokens=tokens)
                         for part in (split.train, split.validation))
    with torch.no_grad():
        network.embedding.weight.copy_(embedding / embedding.std())
        network.mean.copy_(train.targets.mean(0))
        # Constant points (a reference compared with itself) carry nothing to learn.
        network.deviation.copy_(train.targets.std(0).clamp_min(1e-6))
    _fit(network, train, validation=validation, num_epochs=num_epochs, report=report)
    predictor = BudgetPredictor(network, tokens, list(sample.curves), sample.steps, TOLERANCE)
    save_predictor(predictor, out, size=size)
    return predictor


@dataclass(frozen=True)
class _Batch:
    tokens: Tensor   # (N, T)
    lengths: Tensor  # (N,)
    targets: Tensor  # (N, M, K)


def _batch_of(
    curves: dict[str, MeasuredCurves], prompts: list[str], *, tokens: TokenCounter
) -> _Batch:
    values = torch.tensor([list(curves[prompt].curves.values()) for prompt in prompts])
    return _Batch(*pad_tokens(tokens.ids(prompts)), curve_targets(values))


def _fit(
    network: CurveNetwork, train: _Batch, *, validation: _Batch, num_epochs: int,
    report: Callable[[str], None],
) -> None:
    weights = _point_weights(network)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    # Strong decay and few epochs: curves are few and noisy, and the network soon knows them by
    # heart. Chosen on the validation part of the embedded model's curves.
    optimizer = torch.optim.AdamW(trained, lr=3e-3, weight_decay=0.6)
    num_updates = num_epochs * math.ceil(len(train.targets) / _BATCH_PROMPTS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=3e-3, total_steps=num_updates, pct_start=0.1
    )
    # The running mean of the weights, over about a sixth of all updates, does better than the last.
    averaged = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(1 - 6 / num_updates))
    best = (float("inf"), network.state_dict())
    for epoch in range(1, num_epochs + 1):
        network.train()
        for rows in torch.randperm(len(train.targets)).split(_BATCH_PROMPTS):
            part = replace(train, tokens=train.tokens[rows], lengths=train.lengths[rows],
                           targets=train.targets[rows])
            loss = _loss(network, part, weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(network)
        averaged.eval()
        with torch.no_grad():
            error = _loss(cast(CurveNetwork, averaged.module), validation, weights).item()
        if error < best[0]:
            best = (error, deepcopy(averaged.module.state_dict()))
        if epoch % 20 == 0:
            report(f"epoch {epoch} of {num_epochs}: validation error {error:.3f}, "
                   f"best {best[0]:.3f}")
    network.load_state_dict(best[1])


def _point_weights(network: CurveNetwork) -> Tensor:
    """How much each point of the curves matters, (M, K), 1 on average.

    Mostly by the share that it has in what prompts differ by, within its metric: near the
    reference, where all images are alike, standardised targets are little but noise. That the rest
    is a tenth is our heuristic; a plateau is read from those points too.
    """
    spread = network.deviation**2
    share = spread / spread.sum(dim=1, keepdim=True)  # (M, K)
    return 0.1 + 0.9 * share * spread.shape[1]


def _loss(network: CurveNetwork, batch: _Batch, weights: Tensor) -> Tensor:
    """Mean squared error of standardised targets; 1 is what the mean curve scores."""
    target = (batch.targets - network.mean) / network.deviation
    errors = (network(batch.tokens, batch.lengths) - target) ** 2  # (B, M, K)
    return (weights * errors).mean()
