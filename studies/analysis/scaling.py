"""More than two arms: one scale for all, from who was chosen over whom."""

from collections.abc import Sequence
from dataclasses import dataclass

import choix
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from studies.analysis.bootstrap import (
    checked_share,
    corrected_variance,
    crossed_table,
    draw_weights,
    resampled_totals,
)
from studies.analysis.clustered import ClusterTerms, degrees_of_freedom
from studies.analysis.crossed import CrossedTrials, Labels, cross
from studies.analysis.paired import (
    LOGIT,
    PROBIT,
    Link,
    derivatives,
    fit_scales,
    is_connected,
    reaches,
)
from studies.analysis.rates import Interval, checked_confidence

REPLICATES = 1000
# One just-objectionable difference: of two images that far apart, 75% choose the better.
JOD = float(norm.ppf(0.75))


@dataclass(frozen=True)
class ScaledArm:
    """One arm's place on the scale. Higher is chosen more often; the origin is at 0."""

    arm: str
    value: float
    standard_error: float
    interval: Interval
    rate_against_origin: float  # How often the model has it chosen over the origin.


@dataclass(frozen=True)
class Scale:
    """All arms on one scale, the best first."""

    model: str
    unit: str
    origin: str
    arms: list[ScaledArm]
    degrees_of_freedom: int
    num_participants: int
    num_prompts: int
    num_trials: int


@dataclass(frozen=True, eq=False)
class _Comparisons:
    """Trials with arms numbered from 0."""

    trials: CrossedTrials
    winners: NDArray[np.intp]
    losers: NDArray[np.intp]
    arms: list[str]

    def wins(self) -> NDArray[np.float64]:
        """How often each row was chosen over each column, shape (1, K, K)."""
        count = len(self.arms)
        pairs = np.bincount(self.winners * count + self.losers, minlength=count**2)
        return pairs.reshape(1, count, count).astype(float)


def bradley_terry(
    winners: Sequence[str], losers: Sequence[str], *, participants: Labels, prompts: Labels,
    origin: str, confidence: float = 0.95, replicates: int = REPLICATES, seed: int = 0,
) -> Scale:
    """Place all arms on a scale of log odds: P(i over j) = 1 / (1 + exp(s_j - s_i)).

    Parameters
    ----------
    winners, losers : sequence of str
        The arm that was chosen and the one that was not, one entry a trial.
    participants, prompts : sequence
        Who answered each trial, and about which prompt.
    origin : str
        The arm at 0, usually the reference.
    confidence : float
        Coverage of the intervals, strictly between 0 and 1; of each arm's distance from the
        origin, for itself.
    replicates, seed : int
        Of the two-way cluster bootstrap.

    Returns
    -------
    Scale
        Most likely values. The intervals are of t with min(participants, prompts) - 1 degrees
        of freedom on the bootstrap's variance, corrected as in `two_way_bootstrap` with the
        linearised values' cluster terms.

    Raises
    ------
    ValueError
        If the sequences are impossible, there are fewer than two participants or prompts, or the
        arms cannot be placed on one finite scale because one was always chosen over the others;
        likewise if that holds of more than 1 in 100 resamples.

    References
    ----------
    Bradley and Terry (1952), Biometrika 39, 324-345.
    Maystre and Grossglauser (2015), NeurIPS 28: choix's algorithm.
    """
    compared = _compare(winners, losers, participants=participants, prompts=prompts)
    values = np.asarray(choix.ilsr_pairwise_dense(compared.wins()[0]))
    return _scale(compared, values, link=LOGIT, model="Bradley-Terry", unit="log odds",
                  origin=origin, confidence=confidence, replicates=replicates, seed=seed)


def thurstone(
    winners: Sequence[str], losers: Sequence[str], *, participants: Labels, prompts: Labels,
    origin: str, confidence: float = 0.95, replicates: int = REPLICATES, seed: int = 0,
) -> Scale:
    """Place all arms on Thurstone's scale, case V, in just-objectionable differences (JOD).

    Qualities are normal with equal variances and no correlation, so P(i over j) is the normal
    distribution's value at (s_i - s_j) times 0.6745, which is where 1 JOD gives 75%.

    Parameters
    ----------
    winners, losers, participants, prompts, origin, confidence, replicates, seed
        As for `bradley_terry`.

    Returns
    -------
    Scale
        As for `bradley_terry`.

    Raises
    ------
    ValueError
        As for `bradley_terry`.

    References
    ----------
    Thurstone (1927), Psychol. Rev. 34, 273-286, case V.
    Perez-Ortiz and Mantiuk (2017), arXiv 1712.03686: maximum likelihood, and the unit.
    """
    compared = _compare(winners, losers, participants=participants, prompts=prompts)
    values = fit_scales(compared.wins(), PROBIT)[0]
    return _scale(compared, values, link=PROBIT, model="Thurstone case V", unit="JOD",
                  origin=origin, confidence=confidence, replicates=replicates, seed=seed)


def _compare(winners: Sequence[str], losers: Sequence[str], *, participants: Labels,
             prompts: Labels) -> _Comparisons:
    trials = cross(np.ones(len(winners), dtype=bool), participants, prompts=prompts)
    degrees_of_freedom(trials.num_participants, trials.num_prompts)
    if len(losers) != len(winners):
        raise ValueError(f"expected as many losers as winners, got {len(losers)} and "
                         f"{len(winners)}")
    arms = sorted({*winners, *losers})
    numbers = {arm: number for number, arm in enumerate(arms)}
    won, lost = (np.fromiter(map(numbers.__getitem__, names), dtype=np.intp, count=len(names))
                 for names in (winners, losers))
    if (won == lost).any():
        raise ValueError(f"an arm cannot be compared with itself, got {arms[won[won == lost][0]]}")
    compared = _Comparisons(trials, won, lost, arms)
    unreached = np.argwhere(~reaches(compared.wins())[0])
    if unreached.size:
        better, worse = (arms[number] for number in unreached[0][::-1])
        raise ValueError(
            f"{worse} was never chosen over {better}, neither directly nor over an arm that was "
            "chosen over it in turn, so their distance has no limit"
        )
    return compared


def _scale(compared: _Comparisons, values: NDArray[np.float64], *, link: Link, model: str,
           unit: str, origin: str, confidence: float, replicates: int, seed: int) -> Scale:
    level, arms, trials = checked_confidence(confidence), compared.arms, compared.trials
    if origin not in arms:
        raise ValueError(f"the origin must be one of {', '.join(arms)}, got {origin}")
    zero = arms.index(origin)
    freedom = degrees_of_freedom(trials.num_participants, trials.num_prompts)
    variances = _variances(compared, values, link=link, zero=zero, replicates=replicates, seed=seed)
    step = JOD if unit == "JOD" else 1.0
    distances, errors = (values - values[zero]) / step, np.sqrt(variances) / step
    rates = link.probability(values - values[zero])
    margins = float(student.ppf((1 + level) / 2, freedom)) * errors
    found = [
        ScaledArm(arm, float(x), float(error), Interval(float(x - half), float(x + half)),
                  float(rate))
        for arm, x, error, half, rate in zip(arms, distances, errors, margins, rates, strict=True)
    ]
    return Scale(model, unit, origin, sorted(found, key=lambda arm: -arm.value), freedom,
                 trials.num_participants, trials.num_prompts, trials.is_chosen.size)


def _variances(compared: _Comparisons, values: NDArray[np.float64], *, link: Link, zero: int,
               replicates: int, seed: int) -> NDArray[np.float64]:
    """The corrected variance of each arm's distance from the origin, shape (K,)."""
    scales = _resampled(compared, link, replicates=replicates, seed=seed)
    plain = (scales - scales[:, [zero]]).var(axis=0, ddof=1)
    influence = _influence(compared, values, link=link, zero=zero)
    return np.array([
        0.0 if arm == zero else corrected_variance(
            float(plain[arm]), _terms(influence[:, arm], compared.trials), trials=compared.trials)
        for arm in range(len(compared.arms))
    ])


def _resampled(compared: _Comparisons, link: Link, *, replicates: int, seed: int
               ) -> NDArray[np.float64]:
    """Scales of the replicates that have one, shape (B, K)."""
    trials, count = compared.trials, len(compared.arms)
    pairs = compared.winners * count + compared.losers
    tables = {pair: crossed_table(trials, pairs == pair) for pair in np.unique(pairs)}
    found = []
    for weights in draw_weights(trials, replicates, seed=seed):
        totals = np.zeros((len(weights[0]), count**2))
        for pair, table in tables.items():
            totals[:, pair] = resampled_totals(table, weights)
        wins = totals.reshape(-1, count, count)
        found.append(fit_scales(wins[is_connected(wins)], link))
    scales = np.concatenate(found)
    checked_share(len(scales), replicates,
                  reason="have an arm that is always chosen, or never")
    return scales


def _influence(compared: _Comparisons, values: NDArray[np.float64], *, link: Link, zero: int
               ) -> NDArray[np.float64]:
    """How far each trial moves each arm's distance from the origin, (trials, K)."""
    _, curvature = derivatives(compared.wins(), values[None], link=link)
    moves = np.linalg.pinv(curvature[0])                # (K, K)
    moves = moves - moves[zero]
    pulls = link.gradient(values[compared.winners] - values[compared.losers])
    return np.asarray((moves[:, compared.winners] - moves[:, compared.losers]).T * pulls[:, None])


def _terms(influence: NDArray[np.float64], trials: CrossedTrials) -> ClusterTerms:
    """The headline's three terms, of a linearised value instead of a rate."""
    people, prompts, cells = (
        float(np.sum(np.bincount(clusters, influence) ** 2))
        for clusters in (trials.participants, trials.prompts, trials.cells())
    )
    return ClusterTerms(people, prompts, cells)
