from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.method.plans import PlannedTrial, PlanPair, SideName, count_showable, draw_plan

SIDES: tuple[SideName, SideName] = ("left", "right")


def make_pairs(num_prompts: int, num_contrasts: int = 1, num_seeds: int = 1) -> list[PlanPair]:
    places = [(contrast, prompt) for contrast in range(num_contrasts)
              for prompt in range(num_prompts) for _ in range(num_seeds)]
    return [PlanPair(number, contrast, prompt)
            for number, (contrast, prompt) in enumerate(places, start=1)]


# Pairs, what was shown of them before, practice and main trials.
Request = tuple[list[PlanPair], dict[tuple[int, SideName], int], int, int]


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """As many main trials as the pairs allow, or fewer."""
    pairs = make_pairs(draw(st.integers(1, 12)), draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    keys = st.tuples(st.sampled_from([pair.pair_id for pair in pairs]), st.sampled_from(SIDES))
    shown = draw(st.dictionaries(keys, st.integers(0, 9)))
    return pairs, shown, draw(st.integers(0, 5)), draw(st.integers(1, count_showable(pairs)))


def of_kind(plan: list[PlannedTrial], kind: str) -> list[PlannedTrial]:
    return [trial for trial in plan if trial.kind == kind]


def left_minus_right(trials: list[PlannedTrial]) -> int:
    return sum(1 if trial.candidate_side == "left" else -1 for trial in trials)


@given(requests(), st.integers(0, 2**63 - 1))
def test_plan_is_practice_then_main_with_each_prompt_once_per_contrast(
    request: Request, seed: int
) -> None:
    pairs, shown, num_practice, num_main = request
    plan = draw_plan(pairs, shown, practice_trials=num_practice, main_trials=num_main, seed=seed)
    assert [trial.kind for trial in plan] == ["practice"] * num_practice + ["main"] * num_main
    by_id = {pair.pair_id: pair for pair in pairs}
    seen = [(by_id[trial.pair_id].contrast_id, by_id[trial.pair_id].prompt_id)
            for trial in of_kind(plan, "main")]
    assert len(seen) == len(set(seen))


@given(requests(), st.integers(0, 2**63 - 1))
def test_sides_are_half_and_half_whatever_was_shown_before(request: Request, seed: int) -> None:
    pairs, shown, num_practice, num_main = request
    plan = draw_plan(pairs, shown, practice_trials=num_practice, main_trials=num_main, seed=seed)
    for trials in (of_kind(plan, "practice"), of_kind(plan, "main"), plan):
        assert abs(left_minus_right(trials)) == len(trials) % 2


@given(requests(), st.integers(0, 2**63 - 1))
def test_least_shown_pairs_come_first(request: Request, seed: int) -> None:
    pairs, shown, _, num_main = request
    plan = draw_plan(pairs, shown, practice_trials=0, main_trials=num_main, seed=seed)
    total = {pair.pair_id: sum(shown.get((pair.pair_id, side), 0) for side in SIDES)
             for pair in pairs}
    cheapest: dict[tuple[int, int], int] = {}
    for pair in pairs:
        place = (pair.contrast_id, pair.prompt_id)
        cheapest[place] = min(cheapest.get(place, 10**6), total[pair.pair_id])
    expected = sorted(cheapest.values())[:num_main]
    assert sorted(total[trial.pair_id] for trial in plan) == expected


@given(requests(), st.integers(0, 2**63 - 1))
def test_same_seed_draws_the_same_plan_whatever_the_order_of_the_pairs(
    request: Request, seed: int
) -> None:
    pairs, shown, num_practice, num_main = request
    values = {"practice_trials": num_practice, "main_trials": num_main, "seed": seed}
    assert draw_plan(pairs, shown, **values) == draw_plan(pairs[::-1], shown, **values)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 3), st.data())
def test_no_pair_and_side_is_shown_once_oftener_than_another(
    prompts: int, contrasts: int, data: st.DataObject
) -> None:
    pairs = make_pairs(prompts, contrasts)
    num_main = data.draw(st.integers(1, len(pairs)))
    first_seed = data.draw(st.integers(0, 2**32))
    shown: Counter[tuple[int, SideName]] = Counter()
    for seed in range(first_seed, first_seed + 40):
        plan = draw_plan(pairs, shown, practice_trials=1, main_trials=num_main, seed=seed)
        shown.update((trial.pair_id, trial.candidate_side) for trial in of_kind(plan, "main"))
        counts = [shown[pair.pair_id, side] for pair in pairs for side in SIDES]
        assert max(counts) - min(counts) <= 1


def test_practice_prefers_prompts_that_the_main_trials_leave_out() -> None:
    pairs = make_pairs(6)
    for seed in range(50):
        plan = draw_plan(pairs, {}, practice_trials=2, main_trials=4, seed=seed)
        assert len({trial.pair_id for trial in plan}) == 6


def test_practice_uses_pairs_again_where_there_are_too_few() -> None:
    plan = draw_plan(make_pairs(2), {}, practice_trials=5, main_trials=2, seed=3)
    assert len(of_kind(plan, "practice")) == 5


def test_order_does_not_follow_the_side_or_the_pair() -> None:
    pairs = make_pairs(8)
    plans = [draw_plan(pairs, {}, practice_trials=0, main_trials=8, seed=seed)
             for seed in range(400)]
    first_is_left = sum(plan[0].candidate_side == "left" for plan in plans)
    first_is_pair_one = sum(plan[0].pair_id == 1 for plan in plans)
    # Binomial(400, 1/2) and (400, 1/8): beyond four standard deviations once in 16,000.
    assert abs(first_is_left - 200) < 40
    assert abs(first_is_pair_one - 50) < 27


@pytest.mark.parametrize(("num_practice", "num_main", "said"), [
    (0, 5, "5 main trials were asked for, 4 can be shown"),
    (0, 0, "got 0 and 0"),
    (-1, 2, "got -1 and 2"),
])
def test_plan_that_cannot_be_drawn_is_refused(
    num_practice: int, num_main: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        draw_plan(make_pairs(4), {}, practice_trials=num_practice, main_trials=num_main, seed=1)
