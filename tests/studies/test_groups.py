"""Per prompt with shrinkage, and per category with the headline's interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.analysis.clustered import clustered_rate
from studies.analysis.groups import rates_by
from studies.analysis.rates import pooled_preference
from studies.analysis.shrinkage import shrunken_rates


def test_three_trials_are_drawn_to_the_mean_much_more_than_three_hundred() -> None:
    found = shrunken_rates([3, 300, 40, 60, 45, 55], [3, 400, 100, 100, 100, 100])
    few, many = found[0], found[1]
    assert (few.rate, many.rate) == (1, 0.75)
    assert few.shrunken < 0.75
    assert many.shrunken == pytest.approx(0.75, abs=0.02)
    assert few.interval.high - few.interval.low > 2 * (many.interval.high - many.interval.low)
    assert few.wilson.low == pytest.approx(pooled_preference(3, 3).wilson.low, abs=1e-12)


def test_alike_groups_are_drawn_together_and_unlike_ones_left_apart() -> None:
    alike = shrunken_rates([5, 4, 6, 5, 5, 4, 6] * 10, [10] * 70)
    assert np.ptp([group.shrunken for group in alike]) < 0.05
    apart = shrunken_rates([5, 95, 50, 10, 90], [100] * 5)
    assert [g.shrunken for g in apart] == pytest.approx([g.rate for g in apart], abs=0.02)


@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.4])
def test_intervals_hold_the_true_rates_of_most_groups(correlation: float) -> None:
    rng = np.random.default_rng(6)
    held, total = 0, 0
    for _ in range(10):
        strength = (1 - correlation) / correlation if correlation else 1e9
        truths = rng.beta(0.4 * strength, 0.6 * strength, 80)
        found = shrunken_rates(rng.binomial(12, truths).tolist(), [12] * 80)
        held += sum(g.interval.low <= truth <= g.interval.high
                    for g, truth in zip(found, truths, strict=True))
        total += 80
    assert held / total > 0.92


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=8))
def test_any_counts_give_ordered_numbers_or_a_reason(counts: list[tuple[int, int]]) -> None:
    wins, trials = [w for w, _ in counts], [w + lost for w, lost in counts]
    if min(trials) < 1 or max(trials) < 2 or sum(wins) in (0, sum(trials)):
        with pytest.raises(ValueError, match=r"got|all"):
            shrunken_rates(wins, trials)
        return
    found = shrunken_rates(wins, trials)
    for group in found:
        assert 0 <= group.interval.low < group.shrunken < group.interval.high <= 1


def test_each_category_has_the_headline_of_its_own_trials() -> None:
    rng = np.random.default_rng(9)
    people, prompts = (x.ravel() for x in np.indices((8, 12)))
    chosen, kinds = rng.random(96) < 0.4, np.where(prompts < 6, "faces", "scenes")
    faces, scenes = rates_by(chosen, people, prompts=prompts, groups=kinds)
    assert (faces.group, scenes.group) == ("faces", "scenes")
    is_face = kinds == "faces"
    assert faces.clustered == clustered_rate(chosen[is_face], people[is_face],
                                             prompts=prompts[is_face])
    assert scenes.pooled.trials == 48
    assert (faces.num_participants, faces.num_prompts, faces.reason) == (8, 6, "")


def test_category_with_too_little_keeps_its_pooled_rate_and_says_why() -> None:
    found = rates_by([True, False, True, True], [1, 2, 1, 2], prompts=[1, 1, 2, 2],
                     groups=["a", "a", "b", "b"])
    assert [(g.group, g.pooled.wins, g.clustered) for g in found] == [("a", 1, None),
                                                                      ("b", 2, None)]
    assert found[0].reason.endswith("participants: 2, prompts: 1")


def test_groups_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="got 1 and 2"):
        rates_by([True, False], [1, 2], prompts=[1, 2], groups=["a"])
