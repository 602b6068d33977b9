"""Simulated answers of people who differ to prompts that differ, many studies at a time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, roots_hermitenorm

_NODES = 61


@dataclass(frozen=True)
class Spread:
    """A true rate, and how far people and prompts differ from each other.

    Each participant and each prompt shifts the log odds by a normal amount (random intercepts).
    """

    rate: float  # Over all people and prompts, between 0 and 1.
    sd_participant: float  # Logits.
    sd_prompt: float  # Logits.

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"the rate must lie between 0 and 1, got {self.rate}")
        for name in ("sd_participant", "sd_prompt"):
            if not 0 <= getattr(self, name) <= 10:
                raise ValueError(f"{name} must lie from 0 to 10 logits, got {getattr(self, name)}")

    def typical_logit(self) -> float:
        """The log odds of a typical participant and prompt, so that the mean is `rate`."""
        nodes, weights = roots_hermitenorm(_NODES)
        shifts = nodes * np.hypot(self.sd_participant, self.sd_prompt)

        def excess(logit: float) -> float:
            return float(expit(logit + shifts) @ weights / weights.sum()) - self.rate

        return float(brentq(excess, -100, 100))


def spread_prompts(
    num_participants: int, trials_each: int, *, num_prompts: int
) -> NDArray[np.intp]:
    """Give every participant different prompts, and every prompt as many participants.

    Returns
    -------
    ndarray, shape (num_participants, trials_each)
        Prompts from 0, taken in turn, as a plan that shows the least shown ones first does.
    """
    for name, value in (("participants", num_participants), ("trials each", trials_each)):
        if value < 1:
            raise ValueError(f"expected at least 1 {name}, got {value}")
    if trials_each > num_prompts:
        raise ValueError(f"each participant sees a prompt at most once: {trials_each} trials need "
                         f"as many prompts, got {num_prompts}")
    places = np.arange(num_participants * trials_each) % num_prompts
    return places.reshape(num_participants, trials_each)


def simulate_answers(
    spread: Spread, prompts: NDArray[np.intp], *, runs: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Answer every trial of every run; each run has people and prompts of its own.

    Parameters
    ----------
    spread : Spread
    prompts : ndarray, shape (participants, trials)
        From `spread_prompts`.
    runs : int
    rng : numpy.random.Generator

    Returns
    -------
    ndarray of bool, shape (runs, participants, trials)
    """
    people = rng.normal(0, spread.sd_participant, (runs, len(prompts), 1))
    texts = rng.normal(0, spread.sd_prompt, (runs, prompts.max() + 1))
    logits = spread.typical_logit() + people + texts[:, prompts]
    return np.asarray(rng.random(logits.shape) < expit(logits))


def clustered_rates(
    answers: NDArray[np.bool_], prompts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute `clustered_rate` of every run at once.

    Returns
    -------
    tuple of ndarray, shape (runs,) each
        Rates and standard errors; an error of zero where that function refuses.
    """
    runs, num_people, trials_each = answers.shape
    num_prompts, total = int(prompts.max()) + 1, num_people * trials_each
    rates = answers.mean(axis=(1, 2))
    rest = answers - rates[:, None, None]               # (runs, participants, trials)
    places = np.arange(runs)[:, None, None] * num_prompts + prompts
    sums = np.bincount(places.ravel(), rest.ravel(), minlength=runs * num_prompts)
    people = (rest.sum(axis=2) ** 2).sum(axis=1) * num_people / max(num_people - 1, 1)
    texts = (sums.reshape(runs, -1) ** 2).sum(axis=1) * num_prompts / max(num_prompts - 1, 1)
    cells = (rest**2).sum(axis=(1, 2))
    variances = np.maximum(people + texts - cells, np.maximum(people, texts)) / total**2
    # Rounding leaves a little where every sum of residuals is zero.
    return rates, np.sqrt(np.where(variances < 1e-20, 0, variances))
