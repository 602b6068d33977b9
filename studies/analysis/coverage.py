"""Do the intervals cover what they say? Simulated studies whose true rate is known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from studies.analysis.bootstrap import two_way_bootstrap
from studies.analysis.clustered import clustered_rate
from studies.analysis.participants import participant_mean
from studies.analysis.power import Design, is_shown
from studies.analysis.rates import Interval, pooled_preference
from studies.analysis.simulation import Spread, clustered_rates, simulate_answers, spread_prompts

# Standard deviations over participants and prompts, in logits.
SPREADS = ((0.0, 0.0), (0.8, 0.0), (0.8, 0.8), (0.0, 0.8))
RUNS = 2000
REPLICATES = 1000
MARGIN = 0.1
LIMITS = (0.93, 0.975)  # Of a nominal 95% interval that is worth its name.
MOST_TYPE_ONE = 0.055
# Deciding is so much faster than resampling that a finer figure costs nothing.
_TYPE_ONE_FACTOR = 10


@dataclass(frozen=True)
class CoverageRow:
    """The share of runs in which each 95% interval held the true rate of one half.

    `type_one_equivalence` is the share in which equivalence was found though the true rate lay
    at the margin.
    """

    sd_participant: float
    sd_prompt: float
    pooled_wilson: float
    participant_t: float
    two_way: float
    two_way_bootstrap_plain: float
    two_way_bootstrap: float
    type_one_equivalence: float

    def is_within_limits(self, *, runs: int) -> bool:
        """Whether headline, corrected bootstrap and equivalence test hold, as far as runs tell."""
        low, high = (limit + way * 2 * _error(limit, runs)
                     for limit, way in zip(LIMITS, (-1, 1), strict=True))
        most = MOST_TYPE_ONE + 2 * _error(MOST_TYPE_ONE, runs * _TYPE_ONE_FACTOR)
        return (low <= self.two_way <= high and low <= self.two_way_bootstrap <= high
                and self.type_one_equivalence <= most)


def check_coverage(
    *,
    num_participants: int = 20,
    num_prompts: int = 30,
    runs: int = RUNS,
    replicates: int = REPLICATES,
    seed: int = 0,
    spreads: Sequence[tuple[float, float]] = SPREADS,
    progress: Callable[[int, int], None] | None = None,
) -> list[CoverageRow]:
    """Simulate studies in which everybody sees every prompt, and count what intervals hold.

    The functions that compute a study's results are called as they are, one study after another.

    Parameters
    ----------
    num_participants, num_prompts : int
        At least 2 each.
    runs : int
        Simulated studies per row; the equivalence test gets ten times as many.
    replicates : int
        Of the two-way bootstrap.
    seed : int
        The same seed gives the same figures.
    spreads : sequence of (float, float)
        Standard deviations over participants and prompts, in logits; one row each.
    progress : callable, optional
        Called with the number of rows done and the number in all.

    Returns
    -------
    list of CoverageRow

    Raises
    ------
    ValueError
        If there are fewer than 2 participants, prompts or runs.
    """
    if min(num_participants, num_prompts, runs) < 2:
        raise ValueError("expected at least 2 participants, prompts and runs, "
                         f"got {num_participants}, {num_prompts} and {runs}")
    prompts = spread_prompts(num_participants, num_prompts, num_prompts=num_prompts)
    rows = []
    for done, (sd_participant, sd_prompt) in enumerate(spreads, start=1):
        rng = np.random.default_rng([seed, done])
        answers = simulate_answers(Spread(0.5, sd_participant, sd_prompt), prompts, runs=runs,
                                   rng=rng)
        covered = [_covered(table, replicates=replicates, seed=run)
                   for run, table in enumerate(answers)]
        wilson, t, two_way, plain, corrected = np.mean(covered, axis=0).tolist()
        wrong = _type_one(Spread(0.5 - MARGIN, sd_participant, sd_prompt), prompts,
                          runs=runs * _TYPE_ONE_FACTOR, rng=rng)
        rows.append(CoverageRow(sd_participant, sd_prompt, wilson, t, two_way, plain, corrected,
                                wrong))
        if progress:
            progress(done, len(spreads))
    return rows


def _covered(table: np.ndarray, *, replicates: int, seed: int) -> list[bool]:
    """Whether each interval of one study, participants x prompts, holds one half."""
    people, prompts = (number.ravel() for number in np.indices(table.shape))
    chosen = table.ravel()
    bootstrap = two_way_bootstrap(chosen, people, prompts=prompts, replicates=replicates, seed=seed)
    intervals: list[Interval] = [
        _wilson(int(chosen.sum()), chosen.size),
        participant_mean(table.mean(axis=1).tolist()).interval,
        clustered_rate(chosen, people, prompts=prompts).interval,
        bootstrap.plain,
        bootstrap.corrected,
    ]
    return [interval.low <= 0.5 <= interval.high for interval in intervals]


def _error(share: float, runs: int) -> float:
    return float((share * (1 - share) / runs) ** 0.5)


@cache
def _wilson(wins: int, trials: int) -> Interval:
    """The same few counts come again and again."""
    return pooled_preference(wins, trials).wilson


def _type_one(
    spread: Spread, prompts: np.ndarray, *, runs: int, rng: np.random.Generator
) -> float:
    """How often equivalence is found where the true rate is just not equivalent."""
    design = Design(spread, num_prompts=int(prompts.max()) + 1, margin=MARGIN)
    freedom = min(prompts.shape) - 1
    found = 0
    for start in range(0, runs, 2000):
        answers = simulate_answers(spread, prompts, runs=min(2000, runs - start), rng=rng)
        rates, errors = clustered_rates(answers, prompts)
        found += int(is_shown(rates, errors, freedom=freedom, design=design).sum())
    return found / runs
