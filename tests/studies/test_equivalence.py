"""Two one-sided tests on the clustered rate, against hand values and its own interval."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.analysis.clustered import ClusteredRate
from studies.analysis.equivalence import equivalence
from studies.analysis.rates import Interval


def estimate(rate: float, error: float, *, freedom: int = 2) -> ClusteredRate:
    return ClusteredRate(rate, error, Interval(0, 1), freedom, 0.5, freedom + 1, freedom + 1, 99)


def upper_tail(t: float) -> float:
    """Student's t with 2 degrees of freedom, in closed form."""
    return 0.5 - t / (2 * math.sqrt(2 + t * t))


def test_both_p_values_equal_the_closed_form_for_two_degrees_of_freedom() -> None:
    # (.48 - .4) / .02 = 4 and (.6 - .48) / .02 = 6.
    found = equivalence(estimate(0.48, 0.02), 0.1)
    assert found.p_not_inferior == pytest.approx(upper_tail(4), abs=1e-12)
    assert found.p_not_superior == pytest.approx(upper_tail(6), abs=1e-12)
    assert found.p_equivalent == found.p_not_inferior
    assert (found.is_not_inferior, found.is_equivalent, found.is_inferior) == (True, True, False)
    # t(2) at 95% is 2.919986 (tables): the 90% interval.
    assert found.interval.low == pytest.approx(0.48 - 2.919986 * 0.02, abs=1e-7)
    assert found.interval.high == pytest.approx(0.48 + 2.919986 * 0.02, abs=1e-7)


@pytest.mark.parametrize(("rate", "error", "shown"), [
    (0.5, 0.2, (False, False, False)),     # Nothing is shown by too little data.
    (0.65, 0.01, (True, False, False)),    # Better than chance: no worse, but not equivalent.
    (0.30, 0.01, (False, False, True)),    # The paper's kind of result: clearly worse.
    (0.5, 0.01, (True, True, False)),
])
def test_what_is_shown(rate: float, error: float, shown: tuple[bool, bool, bool]) -> None:
    found = equivalence(estimate(rate, error), 0.1)
    assert (found.is_not_inferior, found.is_equivalent, found.is_inferior) == shown


@given(st.floats(0.2, 0.8), st.floats(0.005, 0.1), st.integers(1, 60), st.floats(0.02, 0.45))
def test_tests_agree_with_the_interval(
    rate: float, error: float, freedom: int, margin: float
) -> None:
    found = equivalence(estimate(rate, error, freedom=freedom), margin)
    low, high = found.interval.low - (0.5 - margin), (0.5 + margin) - found.interval.high
    if min(abs(low), abs(high)) > 1e-9:
        assert found.is_not_inferior == (low > 0)
        assert found.is_equivalent == (low > 0 and high > 0)
        assert found.is_inferior == (found.interval.high < 0.5 - margin)


@pytest.mark.parametrize("margin", [0.0, 0.5, -0.1, 10.0, float("nan")])
def test_impossible_margins_and_levels_are_quoted(margin: float) -> None:
    with pytest.raises(ValueError, match=f"margin .* got {margin}"):
        equivalence(estimate(0.5, 0.1), margin)
    with pytest.raises(ValueError, match=f"alpha .* got {margin}"):
        equivalence(estimate(0.5, 0.1), 0.1, alpha=margin)
