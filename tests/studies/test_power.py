"""Planning: simulated power against the headline, closed forms and common sense."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import norm

from studies.analysis.clustered import clustered_rate
from studies.analysis.equivalence import equivalence
from studies.analysis.power import Design, is_shown, plan_power
from studies.analysis.simulation import (
    Spread,
    clustered_rates,
    simulate_answers,
    spread_prompts,
)


def design(rate: float = 0.5, *, people: float = 0.0, prompts: float = 0.0, num_prompts: int = 40,
           margin: float = 0.1, goal: str = "equivalence") -> Design:
    return Design(Spread(rate, people, prompts), num_prompts, margin, goal)  # type: ignore[arg-type]


@pytest.mark.parametrize("trials_each", [7, 12])
def test_many_runs_at_once_are_tested_as_the_headline_is(trials_each: int) -> None:
    prompts = spread_prompts(9, trials_each, num_prompts=12)
    rng = np.random.default_rng(1)
    answers = simulate_answers(Spread(0.45, 0.5, 0.5), prompts, runs=30, rng=rng)
    rates, errors = clustered_rates(answers, prompts)
    shown = is_shown(rates, errors, freedom=8, design=design(margin=0.25))
    people = np.repeat(np.arange(9), trials_each)
    for run in range(30):
        single = clustered_rate(answers[run].ravel(), people, prompts=prompts.ravel())
        assert single.rate == pytest.approx(rates[run], abs=1e-12)
        assert single.standard_error == pytest.approx(errors[run], abs=1e-12)
        assert equivalence(single, 0.25).is_equivalent == shown[run]
    assert 0 < shown.sum() < 30


def test_study_whose_answers_are_all_the_same_shows_nothing() -> None:
    prompts = spread_prompts(4, 5, num_prompts=5)
    rates, errors = clustered_rates(np.ones((1, 4, 5), dtype=bool), prompts)
    assert (rates[0], errors[0]) == (1, 0)
    assert not is_shown(rates, errors, freedom=3, design=design(goal="non-inferiority")).any()


def test_plan_gives_every_prompt_as_many_participants() -> None:
    prompts = spread_prompts(20, 6, num_prompts=40)
    assert np.bincount(prompts.ravel()).tolist() == [3] * 40
    assert all(len(set(row)) == 6 for row in prompts.tolist())


def test_mean_over_people_and_prompts_is_the_rate_asked_for() -> None:
    spread = Spread(0.3, 1.2, 0.9)
    shifts = np.random.default_rng(0).normal(0, 1.5, 400_000)  # sqrt(1.2^2 + .9^2) = 1.5.
    assert expit(spread.typical_logit() + shifts).mean() == pytest.approx(0.3, abs=0.002)
    assert Spread(0.3, 0, 0).typical_logit() == pytest.approx(np.log(0.3 / 0.7))


def test_power_without_spread_is_near_that_of_independent_trials() -> None:
    # z test of a true rate .56 with n = 40 x 40: Phi(.06 / sqrt(.56 * .44 / n) - 1.96).
    found = plan_power(design(0.56, goal="difference", num_prompts=40), [40], trials_each=[40],
                       runs=2000)
    expected = norm.cdf(0.06 / (0.56 * 0.44 / 1600) ** 0.5 - 1.96)
    # The headline's interval is a little wide where nothing is clustered.
    assert expected - 0.05 < found.points[0].power < expected + 0.02


def test_recommended_is_the_smallest_number_that_suffices() -> None:
    found = plan_power(design(people=0.5, prompts=0.3), [10, 80, 20, 40], trials_each=[20, 40])
    assert [(p.trials_each, p.num_participants) for p in found.points] == [
        (each, count) for each in (20, 40) for count in (10, 20, 40, 80)]
    for each in (20, 40):
        powers = {p.num_participants: p.power for p in found.points if p.trials_each == each}
        count = found.recommended[each]
        assert count is not None
        assert all(power >= 0.8 for n, power in powers.items() if n >= count)
        assert all(power < 0.8 for n, power in powers.items() if n == count / 2)


def test_no_number_of_participants_makes_up_for_too_few_prompts() -> None:
    found = plan_power(design(prompts=1.0, num_prompts=8), [20, 200], trials_each=[8], runs=300)
    assert found.recommended == {8: None}


def test_equivalence_is_rarely_found_at_the_margin() -> None:
    found = plan_power(design(0.4, people=0.8), [40], trials_each=[40], runs=4000)
    assert found.points[0].power <= 0.055


def test_progress_is_told_and_may_end_it() -> None:
    seen: list[tuple[int, int]] = []
    plan_power(design(), [5, 6], trials_each=[5], runs=100,
               progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]

    def stop(done: int, total: int) -> None:
        raise InterruptedError(f"{done} of {total}")

    with pytest.raises(InterruptedError, match="1 of 2"):
        plan_power(design(), [5, 6], trials_each=[5], runs=100, progress=stop)


def test_figure_of_a_size_does_not_depend_on_the_other_sizes() -> None:
    alone = plan_power(design(), [20], trials_each=[20], runs=200).points[0]
    assert alone in plan_power(design(), [10, 20], trials_each=[10, 20], runs=200).points


@pytest.mark.parametrize(("settings", "said"), [
    ({"rate": 1.0}, r"rate .* got 1\.0"),
    ({"people": -1.0}, r"sd_participant .* got -1\.0"),
    ({"prompts": float("nan")}, "sd_prompt .* got nan"),
    ({"margin": 0.5}, r"margin .* got 0\.5"),
    ({"goal": "superiority"}, "got superiority"),
    ({"num_prompts": 1}, "got 1"),
])
def test_impossible_designs_are_quoted(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        design(**settings)


@pytest.mark.parametrize(("participants", "trials_each", "more", "said"), [
    ([], [5], {}, r"from 2, got \[5\] and \[\]"),
    ([5], [], {}, r"from 2, got \[\] and \[5\]"),
    ([1], [5], {}, r"got \[5\] and \[1\]"),
    ([5], [0], {}, "at least 1 trials each, got 0"),
    ([5], [41], {}, "41 trials need as many prompts, got 40"),
    ([5], [5], {"runs": 99}, r"got 99 and 0\.8"),
    ([5], [5], {"target": 1.0}, r"got 1000 and 1\.0"),
])
def test_impossible_sizes_are_quoted(
    participants: list[int], trials_each: list[int], more: dict, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        plan_power(design(), participants, trials_each=trials_each, **more)
