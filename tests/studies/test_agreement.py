"""Krippendorff's alpha against the book, and p values adjusted for several contrasts by hand."""

import numpy as np
import pytest

from studies.analysis.agreement import agreement
from studies.analysis.multiplicity import adjust

# Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example A: binary data, two
# observers, ten units, no missing data; alpha = .095.
MEG = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
OWEN = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]


def test_alpha_is_that_of_krippendorffs_binary_example() -> None:
    found = agreement(MEG + OWEN, [*range(10), *range(10)])
    assert found.alpha == pytest.approx(0.095, abs=5e-4)
    assert (found.num_units, found.num_answers) == (10, 20)
    assert found.interval.low < found.alpha < found.interval.high <= 1


def test_full_agreement_is_one_and_units_judged_once_do_not_count() -> None:
    found = agreement([1, 1, 0, 0] * 5 + [1], [unit for unit in range(10) for _ in "ab"] + [10])
    assert (found.alpha, found.num_units, found.num_answers) == (1, 10, 20)


def test_guessing_gives_about_zero() -> None:
    random = np.random.default_rng(2)
    found = agreement(random.random(6000) < 0.5, np.repeat(np.arange(200), 30))
    assert found.alpha == pytest.approx(0, abs=0.01)
    assert found.interval.low < 0 < found.interval.high


@pytest.mark.parametrize(("chosen", "units", "said"), [
    ([], [], "got 0 and 0"),
    ([1, 0, 1], [1, 2, 3], "got 0"),
    ([1, 0], [1, 1], "got 1"),
    ([1, 1, 1, 1], [1, 1, 2, 2], "all 4 answers are the same"),
    ([1, 0, 1, 1, 1, 1], [1, 1, 2, 2, 3, 3], "1 of 6 answers differ"),
])
def test_too_little_to_agree_about_is_refused(
    chosen: list[bool], units: list[int], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        agreement(chosen, units)


def test_adjusted_p_values_equal_hand_values() -> None:
    # Holm: 3 * .01, then 2 * .03, then 1 * .04, never falling: .03, .06, .06.
    # Benjamini-Hochberg: 3/1 * .01, 3/2 * .03, 3/3 * .04, from the top: .03, .04, .04.
    found = adjust([0.04, 0.01, 0.03])
    assert found.holm == pytest.approx([0.06, 0.03, 0.06])
    assert found.benjamini_hochberg == pytest.approx([0.04, 0.03, 0.04])
    assert adjust([0.2]).holm == [0.2]
    assert adjust([0.9, 0.8]).holm == [1, 1]


@pytest.mark.parametrize(("values", "said"), [
    ([], "got none"), ([0.5, 1.5], r"got 1\.5"), ([float("nan")], "got nan"),
])
def test_impossible_p_values_are_quoted(values: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        adjust(values)
