import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.budget.curves import find_budget, find_plateau, interpolate_curve, step_grid


@given(st.integers(12, 1000))
def test_grid_runs_from_one_to_the_reference_and_gets_sparser(reference: int) -> None:
    grid = step_grid(reference)
    assert (len(grid), grid[0], grid[-1]) == (12, 1, reference)
    gaps = np.diff(grid)
    assert (gaps >= 1).all()
    assert gaps[-1] == gaps.max()


def test_grid_of_a_short_model_holds_every_count() -> None:
    assert step_grid(4) == [1, 2, 3, 4]


def test_plateau_by_hand() -> None:
    # Range 10, tolerance 5% = 0.5: 9.6 and 10 are close to the end, 9.4 is not.
    assert find_plateau(np.array([0.0, 9.4, 9.6, 10.0])) == 3


def test_plateau_counts_from_the_last_excursion() -> None:
    assert find_plateau(np.array([0.0, 10.0, 4.0, 10.0])) == 4


def test_flat_curve_is_on_its_plateau_from_the_start() -> None:
    assert find_plateau(np.full(5, 2.0)) == 1


def test_interpolation_keeps_measured_values_and_does_not_overshoot() -> None:
    dense = interpolate_curve([1, 3, 10], [0.0, 1.0, 1.0])
    assert dense[[0, 2, 9]] == pytest.approx([0, 1, 1])
    assert dense.max() <= 1


def test_budget_waits_for_the_slowest_metric() -> None:
    curves = {"fast": [0.0, 1.0, 1.0, 1.0], "slow": [1.0, 0.5, 0.2, 0.0]}
    assert find_budget([1, 2, 3, 4], curves) == 4


@pytest.mark.parametrize(("steps", "values"), [([2, 3], [0, 1]), ([1], [0]), ([1, 2], [0])])
def test_curve_that_does_not_fit_its_grid_is_refused(steps: list[int], values: list[float]) -> None:
    with pytest.raises(ValueError, match="expected values at steps 1"):
        interpolate_curve(steps, values)


def test_infinite_value_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        interpolate_curve([1, 2], [0.0, float("inf")])
