"""Rates, participant means, side bias and savings against published and hand values."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.analysis.participants import participant_mean
from studies.analysis.rates import Interval, pooled_preference
from studies.analysis.savings import saving, saving_alone
from studies.analysis.sides import side_bias
from tests.studies.golden import golden

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def ends(interval: Interval) -> tuple[float, float]:
    return interval.low, interval.high


def test_intervals_equal_newcombes_table() -> None:
    case = golden("G01")
    for (wins, trials), wilson, exact in zip(
        case["in"], case["out"]["wilson"], case["out"]["clopper"], strict=True
    ):
        found = pooled_preference(wins, trials)
        assert ends(found.wilson) == pytest.approx(wilson, abs=case["tol"])
        assert ends(found.clopper_pearson) == pytest.approx(exact, abs=case["tol"])


def test_intervals_equal_those_of_r() -> None:
    case = golden("G03")
    found = pooled_preference(*case["in"])
    assert ends(found.wilson) == pytest.approx(case["out"]["wilson"], abs=case["tol"])
    assert ends(found.clopper_pearson) == pytest.approx(case["out"]["exact"], abs=case["tol"])


def test_p_value_is_exact_and_two_sided() -> None:
    # By hand: 2 (C(10,0) + C(10,1) + C(10,2)) / 2^10 for 8 of 10.
    assert pooled_preference(8, 10).p_value == pytest.approx(2 * (1 + 10 + 45) / 1024, abs=1e-12)


def test_wilson_equals_the_closed_form_at_another_confidence() -> None:
    # Wilson (1927): centre (p + z^2/2n) / (1 + z^2/n), z = 1.6448536 for 90%.
    n, p, z = 40, 0.3, 1.6448536269514722
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    found = pooled_preference(12, 40, confidence=0.9).wilson
    assert ends(found) == pytest.approx((centre - half, centre + half), abs=1e-9)


@given(counts)
def test_intervals_hold_the_rate_and_stay_within_zero_and_one(count: tuple[int, int]) -> None:
    found = pooled_preference(*count)
    for interval in (found.wilson, found.clopper_pearson):
        assert -1e-12 <= interval.low <= found.rate + 1e-12
        assert found.rate - 1e-12 <= interval.high <= 1 + 1e-12


@given(counts)
def test_swapping_the_arms_mirrors_everything(count: tuple[int, int]) -> None:
    wins, trials = count
    ours, theirs = pooled_preference(wins, trials), pooled_preference(trials - wins, trials)
    assert ours.wilson.low == pytest.approx(1 - theirs.wilson.high, abs=1e-9)
    assert ours.clopper_pearson.low == pytest.approx(1 - theirs.clopper_pearson.high, abs=1e-9)
    assert ours.p_value == pytest.approx(theirs.p_value, abs=1e-9)


@pytest.mark.parametrize(("wins", "trials"), [(1, 0), (-1, 5), (6, 5), (2.5, 5)])
def test_impossible_counts_are_quoted(wins: int, trials: int) -> None:
    with pytest.raises(ValueError, match=f"got {wins} of {trials}"):
        pooled_preference(wins, trials)
    with pytest.raises(ValueError, match=f"got {wins} of {trials}"):
        side_bias(wins, trials)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95, float("nan")])
def test_impossible_confidence_is_quoted(confidence: float) -> None:
    with pytest.raises(ValueError, match=f"got {confidence}"):
        pooled_preference(1, 2, confidence=confidence)


def test_participant_mean_equals_hand_values() -> None:
    # Mean .4, SD sqrt((.04 + 0 + .04) / 2) = .2; t(2) at 97.5% is 4.30265 (tables), so the
    # half-width .2 / sqrt(3) * 4.30265 = .49683 reaches below 0, where the interval is cut.
    found = participant_mean([0.2, 0.4, 0.6])
    assert (found.mean, found.sd) == pytest.approx((0.4, 0.2))
    assert found.degrees_of_freedom == 2
    assert ends(found.interval) == pytest.approx((0.0, 0.4 + 0.49683), abs=1e-5)
    # t = (.4 - .5) / (.2 / sqrt(3)) = -.866; for 2 df, p = 1 - |t| / sqrt(2 + t^2).
    t = 0.1 / (0.2 / math.sqrt(3))
    assert found.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-9)


@pytest.mark.parametrize(("rates", "said"), [
    ([], "at least 2 participants, got 0"),
    ([0.4], "at least 2 participants, got 1"),
    ([0.5, 0.5, 0.5], "all 3 participants have the same rate, 50.0%"),
    ([0.5, 1.5], r"between 0 and 1, got 1\.5"),
    ([0.5, float("nan")], "between 0 and 1, got nan"),
])
def test_participant_mean_refuses_and_says_why(rates: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        participant_mean(rates)


def test_side_bias_equals_golden_values() -> None:
    case = golden("G27")
    for (left, trials), p_value in zip(case["in"], case["out"], strict=True):
        assert side_bias(left, trials).p_value == pytest.approx(p_value, abs=case["tol"])


def test_saving_equals_hand_values() -> None:
    # Saved 40, 30 and 20 of 50 steps each: mean 30, SD 10, 90 of 150.
    found = saving([10, 20, 30], [50, 50, 50])
    assert (found.mean_saved, found.sd_saved, found.share_saved) == pytest.approx((30, 10, 0.6))
    assert (found.mean_candidate, found.mean_reference, found.num_images) == (20, 50, 3)
    # Saved 40, 30, 20: shares 0.8, 0.6, 0.4; one slow image of 500 leaves the medians in place.
    assert (found.median_candidate, found.median_reference, found.median_saved) == (20, 50, 30)
    assert found.median_share == pytest.approx(0.6)
    assert saving([10, 20, 500], [50, 50, 50]).median_saved == 30
    assert saving([60], [50]).mean_saved == -10
    assert saving([60], [50]).sd_saved is None


@pytest.mark.parametrize(("ours", "full", "said"), [
    ([], [], "got 0 and 0"),
    ([1.0], [1.0, 2.0], "got 1 and 2"),
    ([0.0], [2.0], r"got 0\.0"),
    ([1.0], [float("nan")], "got nan"),
])
def test_impossible_costs_are_quoted(ours: list[float], full: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        saving(ours, full)


def test_saving_alone_equals_hand_values() -> None:
    # 0.5 s at 10 steps, 1.5 s at 30, 2.6 s at 50. At 20 steps halfway from 0.5 to 1.5: 1.0 s; at
    # 40 steps 2.05 s. Saved 1.6, 0.55 and 2.1 of 2.6 s each: mean 1.41667, 4.25 of 7.8.
    found = saving_alone([20, 40, 10], 50, latencies={50: 2.6, 10: 0.5, 30: 1.5})
    assert found.saving.mean_saved == pytest.approx(4.25 / 3)
    assert found.saving.share_saved == pytest.approx(4.25 / 7.8)
    assert found.saving.mean_candidate == pytest.approx(3.55 / 3)
    assert found.saving.mean_reference == pytest.approx(2.6)
    assert (found.num_measured, found.fewest_steps, found.most_steps) == (3, 10, 50)
    # Deviations -20, 0, 20 steps and -31/30, -1/30, 32/30 s: 42^2 / (800 * 1986/900).
    assert found.r_squared == pytest.approx(42**2 / (800 * 1986 / 900))


def test_a_line_through_two_points_or_a_level_one_is_no_evidence() -> None:
    assert saving_alone([10], 50, latencies={10: 1.0, 50: 2.0}).r_squared is None
    assert saving_alone([10], 50, latencies={10: 1.0, 30: 1.0, 50: 1.0}).r_squared is None


@given(st.floats(0.001, 10), st.floats(0, 10), st.lists(st.integers(4, 50), min_size=1))
def test_latency_linear_in_steps_saves_in_proportion_to_steps(
    per_step: float, constant: float, steps: list[int]
) -> None:
    latencies = {count: constant + per_step * count for count in (4, 11, 27, 50)}
    found = saving_alone(steps, 50, latencies=latencies)
    in_steps = saving(steps, [50] * len(steps))
    assert found.saving.mean_saved == pytest.approx(per_step * in_steps.mean_saved, abs=1e-9)
    assert found.r_squared == pytest.approx(1)


@pytest.mark.parametrize(("steps", "latencies", "said"), [
    ([10], {}, "at least 2 measured step counts, got 0"),
    ([10], {50: 1.0}, "at least 2 measured step counts, got 1"),
    ([9, 20, 7], {10: 1.0, 50: 2.0}, "7 steps lie outside the measured 10 to 50"),
    ([20], {10: 1.0, 40: 2.0}, "50 steps lie outside the measured 10 to 40"),
    ([], {10: 1.0, 50: 2.0}, "got 0 and 0"),
    ([20], {10: -1.0, 50: 2.0}, r"above zero and finite, got -0\.25"),
])
def test_what_latencies_do_not_tell_is_said(
    steps: list[int], latencies: dict[int, float], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        saving_alone(steps, 50, latencies=latencies)
