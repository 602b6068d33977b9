"""The two-way cluster bootstrap: what it is corrected by, and against the headline."""

import itertools
import math

import numpy as np
import pytest

from studies.analysis.bootstrap import two_way_bootstrap
from studies.analysis.clustered import cluster_terms, clustered_rate
from tests.studies.test_clustered import flat


def exact_variance(table: list[list[int]]) -> float:
    """The resampled rate's variance over every possible draw of rows and columns."""
    values = np.array(table)
    rows, columns = values.shape
    rates = [values[np.ix_(drawn, across)].mean()
             for drawn in itertools.product(range(rows), repeat=rows)
             for across in itertools.product(range(columns), repeat=columns)]
    return float(np.var(rates))


def test_plain_variance_is_that_of_all_possible_resamples() -> None:
    table = [[1, 1, 1], [1, 0, 1], [0, 0, 1]]
    chosen, participants, prompts = flat(table)
    terms = cluster_terms(chosen, participants, prompts=prompts)
    found = two_way_bootstrap(chosen, participants, prompts=prompts, replicates=20_000)
    plain, floor = exact_variance(table), 1.5 * max(terms.participants, terms.prompts)
    error = math.sqrt(max(plain - 2 * terms.cells, floor))
    assert found.standard_error == pytest.approx(error, rel=0.02)


def test_correction_brings_it_to_the_headline() -> None:
    # Participants differ much, prompts do not: no floor, and many of both.
    random = np.random.default_rng(5)
    rates = random.uniform(0.05, 0.95, (60, 1)) + np.zeros((1, 60))
    chosen, participants, prompts = flat((random.random((60, 60)) < rates).tolist())
    headline = clustered_rate(chosen, participants, prompts=prompts)
    found = two_way_bootstrap(chosen, participants, prompts=prompts, replicates=4000)
    assert found.rate == headline.rate
    assert found.degrees_of_freedom == headline.degrees_of_freedom == 59
    assert found.standard_error == pytest.approx(headline.standard_error, rel=0.05)
    assert found.plain.low < found.rate < found.plain.high


def test_plain_interval_is_the_wider_where_nobody_differs() -> None:
    random = np.random.default_rng(3)
    chosen, participants, prompts = flat((random.random((20, 30)) < 0.5).tolist())
    found = two_way_bootstrap(chosen, participants, prompts=prompts)
    width = found.corrected.high - found.corrected.low
    assert found.plain.high - found.plain.low > 1.2 * width


def test_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    # Large enough for the percentiles not to fall on the same few values.
    random = np.random.default_rng(7)
    chosen, participants, prompts = flat((random.random((20, 30)) < 0.4).tolist())
    first, again, other = (two_way_bootstrap(chosen, participants, prompts=prompts, seed=seed)
                           for seed in (1, 1, 2))
    assert first == again != other


def test_missing_cells_are_no_obstacle_and_sparse_tables_give_the_same() -> None:
    # 400 people who saw 4 of 400 prompts each: the sparse product; the variance by clustering.
    random = np.random.default_rng(8)
    participants = np.repeat(np.arange(400), 4)
    prompts = (participants * 4 + np.tile(np.arange(4), 400)) % 400
    chosen = random.random(1600) < random.uniform(0, 1, 400)[prompts]
    headline = clustered_rate(chosen, participants, prompts=prompts)
    found = two_way_bootstrap(chosen, participants, prompts=prompts)
    assert found.standard_error == pytest.approx(headline.standard_error, rel=0.1)


@pytest.mark.parametrize(("rows", "replicates", "said"), [
    ([[1, 1], [1, 1]], 200, r"the same rate, 100\.0%"),
    ([[1, 0], [0, 1]], 200, r"the same rate, 50\.0%"),
    ([[1, 0]], 200, "participants: 1, prompts: 2"),
    ([[1, 0], [1, 1]], 99, "at least 100 replicates, got 99"),
])
def test_what_cannot_be_resampled_is_refused(
    rows: list[list[int]], replicates: int, said: str
) -> None:
    chosen, participants, prompts = flat(rows)
    with pytest.raises(ValueError, match=said):
        two_way_bootstrap(chosen, participants, prompts=prompts, replicates=replicates)


def test_too_many_empty_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="replicates hold no trial"):
        two_way_bootstrap([True, False, True], [1, 2, 3], prompts=["a", "b", "c"])
