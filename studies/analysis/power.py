"""How many participants does a study need?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import t as student

from studies.analysis.rates import CHANCE_LEVEL
from studies.analysis.simulation import Spread, clustered_rates, simulate_answers, spread_prompts

Goal = Literal["equivalence", "non-inferiority", "difference"]
GOALS: tuple[Goal, ...] = ("equivalence", "non-inferiority", "difference")
RUNS = 1000
TARGET = 0.8
_MOST_ANSWERS = 2_000_000  # Simulated at a time, to bound memory.


@dataclass(frozen=True)
class Design:
    """What a planned study tests, of whom, about how many prompts."""

    spread: Spread  # As expected.
    num_prompts: int
    margin: float  # Of equivalence and non-inferiority, a proportion.
    goal: Goal = "equivalence"
    alpha: float = 0.05  # Of each one-sided test; of a difference, two-sided.

    def __post_init__(self) -> None:
        if self.goal not in GOALS:
            raise ValueError(f"the goal must be one of {', '.join(GOALS)}, got {self.goal}")
        for name in ("margin", "alpha"):
            if not 0 < getattr(self, name) < 0.5:
                raise ValueError(f"the {name} must lie between 0 and one half, "
                                 f"got {getattr(self, name)}")
        if self.num_prompts < 2:
            raise ValueError(f"a design needs at least 2 prompts, got {self.num_prompts}")


@dataclass(frozen=True)
class PowerPoint:
    """How often a study of this size shows what it is to show."""

    num_participants: int
    trials_each: int
    power: float
    simulation_error: float  # The power's own standard error.


@dataclass(frozen=True)
class PowerPlan:
    """Every size that was tried, and the smallest sufficient number of participants."""

    points: list[PowerPoint]
    target: float
    recommended: dict[int, int | None]  # Participants by trials each; none if no size suffices.


def plan_power(
    design: Design,
    participants: Sequence[int],
    *,
    trials_each: Sequence[int],
    target: float = TARGET,
    runs: int = RUNS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> PowerPlan:
    """Simulate studies of several sizes and count how often they succeed.

    Every run draws new people and new prompts, gives each participant different prompts in turn,
    and tests as the headline does: two-way clustered, t with min(participants, prompts) - 1
    degrees of freedom. More participants never make up for too few prompts.

    Parameters
    ----------
    design : Design
    participants, trials_each : sequence of int
        Sizes to try, every combination; at least 2 participants, and at most as many trials as
        the design has prompts.
    target : float
        Power to reach, strictly between 0 and 1.
    runs : int
        Simulated studies per size, at least 100.
    seed : int
        The same seed and sizes give the same figures.
    progress : callable, optional
        Called with the number of sizes done and the number in all; what it raises ends the
        simulation.

    Returns
    -------
    PowerPlan
        `recommended` is the smallest tried number of participants from which on every larger
        tried one reaches the target as well.

    Raises
    ------
    ValueError
        If no size is given, or a number lies outside its range.
    """
    sizes = [(each, count) for each in sorted(set(trials_each))
             for count in sorted(set(participants))]
    if not sizes or min(participants) < 2:
        raise ValueError("expected at least one number of trials, and of participants from 2, "
                         f"got {list(trials_each)} and {list(participants)}")
    if runs < 100 or not 0 < target < 1:
        raise ValueError("expected at least 100 runs and a target between 0 and 1, "
                         f"got {runs} and {target}")
    points = []
    for done, (each, count) in enumerate(sizes, start=1):
        # Seeded per size, so that a size's figure does not depend on which others are tried.
        rng = np.random.default_rng([seed, count, each])
        points.append(_power(design, count, trials_each=each, runs=runs, rng=rng))
        if progress:
            progress(done, len(sizes))
    recommended = {each: _smallest([p for p in points if p.trials_each == each], target=target)
                   for each in sorted(set(trials_each))}
    return PowerPlan(points, target, recommended)


def _power(design: Design, num_participants: int, *, trials_each: int, runs: int,
           rng: np.random.Generator) -> PowerPoint:
    prompts = spread_prompts(num_participants, trials_each, num_prompts=design.num_prompts)
    at_once = max(1, _MOST_ANSWERS // prompts.size)
    num_shown = 0
    for start in range(0, runs, at_once):
        answers = simulate_answers(design.spread, prompts, runs=min(at_once, runs - start),
                                   rng=rng)
        freedom = min(num_participants, int(prompts.max()) + 1) - 1
        if freedom:  # Of a single prompt nothing can be shown.
            rates, errors = clustered_rates(answers, prompts)
            num_shown += int(is_shown(rates, errors, freedom=freedom, design=design).sum())
    power = num_shown / runs
    return PowerPoint(num_participants, trials_each, power, (power * (1 - power) / runs) ** 0.5)


def is_shown(
    rates: np.ndarray, errors: np.ndarray, *, freedom: int, design: Design
) -> np.ndarray:
    """Whether each run's test succeeds; one whose error is zero is refused, and shows nothing."""
    off, margin = rates - CHANCE_LEVEL, design.margin
    if design.goal == "difference":
        is_far = np.abs(off) > float(student.ppf(1 - design.alpha / 2, freedom)) * errors
    else:
        reach = float(student.ppf(1 - design.alpha, freedom)) * errors
        is_far = off - reach > -margin
        if design.goal == "equivalence":
            is_far &= off + reach < margin
    return np.asarray(is_far & (errors > 0))


def _smallest(points: Sequence[PowerPoint], *, target: float) -> int | None:
    found = None
    for point in sorted(points, key=lambda point: -point.num_participants):
        if point.power < target:
            break
        found = point.num_participants
    return found
