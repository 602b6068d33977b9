from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.method.plans import (
    PlanPair,
    count_catch_pairs,
    count_extra,
    count_showable,
    draw_plan,
)
from studies.method.weaving import FEWEST_PLACES_APART, PlannedTrial, SideName, clamp_extra

SIDES: tuple[SideName, SideName] = ("left", "right")


def make_pairs(num_prompts: int, num_contrasts: int = 1, num_seeds: int = 1) -> list[PlanPair]:
    places = [(contrast, prompt) for contrast in range(num_contrasts)
              for prompt in range(num_prompts) for _ in range(num_seeds)]
    return [PlanPair(number, contrast, prompt)
            for number, (contrast, prompt) in enumerate(places, start=1)]


# Pairs, what was shown of them before, practice and main trials.
Request = tuple[list[PlanPair], dict[tuple[int, SideName], int], int, int]
# The arguments of `draw_plan`, what was shown before aside.
Extra = dict[str, Any]


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
    values: Extra = {"practice_trials": num_practice, "main_trials": num_main, "seed": seed}
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


@st.composite
def extra_requests(draw: st.DrawFn, most_percent: int = 50) -> Extra:
    """A plan with catch trials and repeats, in numbers that have a place."""
    pairs = make_pairs(draw(st.integers(1, 40)), draw(st.integers(1, 2)))
    num_main = draw(st.integers(1, count_showable(pairs)))
    num_catch, num_repeats = count_extra(num_main, catch_percent=draw(st.integers(0, most_percent)),
                                         repeat_percent=draw(st.integers(0, most_percent)))
    num_prompts = len({pair.prompt_id for pair in pairs})
    catch_pairs = [PlanPair(1000 + prompt, 99, prompt)
                   for prompt in range(draw(st.integers(1, num_prompts)))]
    return {"pairs": pairs, "catch_pairs": catch_pairs,
            "practice_trials": draw(st.integers(0, 4)), "main_trials": num_main,
            "catch_trials": num_catch, "repeat_trials": num_repeats,
            "seed": draw(st.integers(0, 2**63 - 1))}


def draw_extra(request: Extra, shown: dict[tuple[int, SideName], int] | None = None
               ) -> list[PlannedTrial]:
    rest = dict(request)
    return draw_plan(rest.pop("pairs"), shown or {}, **rest)


def is_extra(trial: PlannedTrial) -> bool:
    return trial.kind in ("catch", "repeat")


@given(extra_requests())
def test_every_kind_comes_as_often_as_asked_after_the_practice(request: Extra) -> None:
    plan = draw_extra(request)
    for kind in ("practice", "main", "catch", "repeat"):
        assert len(of_kind(plan, kind)) == request[f"{kind}_trials"]
    num_practice = request["practice_trials"]
    assert all((trial.kind == "practice") is (place < num_practice)
               for place, trial in enumerate(plan))


@given(extra_requests())
def test_catch_trials_and_repeats_never_come_first_and_never_meet(request: Extra) -> None:
    block = draw_extra(request)[request["practice_trials"]:]
    assert block[0].kind == "main"
    assert not any(is_extra(one) and is_extra(other) for one, other in pairwise(block))


@given(extra_requests())
def test_catch_trials_and_repeats_are_spread_over_the_block(request: Extra) -> None:
    block = draw_extra(request)[request["practice_trials"]:]
    num_extra = request["catch_trials"] + request["repeat_trials"]
    behind = [sum(trial.kind == "main" for trial in block[:place])
              for place, trial in enumerate(block) if is_extra(trial)]
    # One in each run of equal length: repeats alone leave out the first places of all.
    first = 1 if request["catch_trials"] else (
        min(FEWEST_PLACES_APART, request["main_trials"] - num_extra + 1))
    run = (request["main_trials"] - first + 1) / max(num_extra, 1)
    assert all(first + place * run - 1 < number < first + (place + 1) * run
               for place, number in enumerate(behind))


@given(extra_requests())
def test_repeat_shows_its_own_main_trial_with_the_sides_swapped(request: Extra) -> None:
    plan = draw_extra(request)
    repeats = of_kind(plan, "repeat")
    assert len({trial.repeat_of for trial in repeats}) == len(repeats)
    for trial in repeats:
        assert trial.repeat_of is not None
        original = plan[trial.repeat_of]
        assert (original.kind, original.pair_id) == ("main", trial.pair_id)
        assert {original.candidate_side, trial.candidate_side} == set(SIDES)
    assert all(trial.repeat_of is None for trial in plan if trial.kind != "repeat")


@given(extra_requests())
def test_repeat_comes_at_least_three_places_later(request: Extra) -> None:
    plan = draw_extra(request)
    # With no catch trial, a repeat that follows every main trial but two has no room for more.
    is_crowded = (not request["catch_trials"]
                  and request["repeat_trials"] > request["main_trials"] - 2)
    for place, trial in enumerate(plan):
        if trial.repeat_of is not None:
            assert place - trial.repeat_of >= (2 if is_crowded else FEWEST_PLACES_APART)


@given(extra_requests(), st.data())
def test_sides_are_half_and_half_in_every_kind(request: Extra, data: st.DataObject) -> None:
    keys = st.tuples(st.sampled_from([pair.pair_id for pair in
                                      request["pairs"] + request["catch_pairs"]]),
                     st.sampled_from(SIDES))
    plan = draw_extra(request, data.draw(st.dictionaries(keys, st.integers(0, 9))))
    planned = [trial for trial in plan if trial.kind != "repeat"]
    for trials in (*(of_kind(plan, kind) for kind in ("practice", "main", "catch")), planned):
        assert abs(left_minus_right(trials)) == len(trials) % 2


@given(extra_requests(most_percent=20))
def test_with_usual_shares_the_sides_of_all_trials_together_are_even_too(request: Extra) -> None:
    plan = draw_extra(request)
    # Where the first repeats had no choice, the later ones make up for it as far as they can.
    if request["main_trials"] >= 20:
        assert abs(left_minus_right(plan)) <= 2


@given(extra_requests())
def test_catch_trials_and_practice_show_catch_pairs_and_others_never_do(request: Extra) -> None:
    catch_ids = {pair.pair_id for pair in request["catch_pairs"]}
    for trial in draw_extra(request):
        assert (trial.pair_id in catch_ids) is (trial.kind in ("catch", "practice"))


@given(extra_requests())
def test_catch_trials_prefer_prompts_that_the_main_trials_leave_out(request: Extra) -> None:
    plan = draw_extra(request)
    prompts = {pair.pair_id: pair.prompt_id for pair in request["pairs"] + request["catch_pairs"]}
    main = {prompts[trial.pair_id] for trial in of_kind(plan, "main")}
    catch = [prompts[trial.pair_id] for trial in of_kind(plan, "catch")]
    others = {pair.prompt_id for pair in request["catch_pairs"]} - main
    assert len(set(catch) & others) == min(len(catch), len(others))


@given(extra_requests())
def test_same_seed_draws_the_same_plan_with_catch_trials(request: Extra) -> None:
    other = request | {"pairs": request["pairs"][::-1],
                       "catch_pairs": request["catch_pairs"][::-1]}
    assert draw_extra(request) == draw_extra(other)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 12), st.data())
def test_catch_trials_and_repeats_leave_the_balance_of_the_main_trials_alone(
    prompts: int, data: st.DataObject
) -> None:
    pairs = make_pairs(prompts)
    catch_pairs = [PlanPair(1000 + prompt, 99, prompt) for prompt in range(prompts)]
    num_main = data.draw(st.integers(1, prompts))
    shown: Counter[tuple[int, SideName]] = Counter()
    for seed in range(40):
        plan = draw_plan(pairs, shown, catch_pairs=catch_pairs, practice_trials=1,
                         main_trials=num_main, catch_trials=num_main, repeat_trials=num_main,
                         seed=seed)
        shown.update((trial.pair_id, trial.candidate_side) for trial in plan
                     if trial.kind in ("main", "catch"))
        counts = [shown[pair.pair_id, side] for pair in pairs for side in SIDES]
        assert max(counts) - min(counts) <= 1


def test_catch_pairs_are_used_about_equally_often() -> None:
    pairs = make_pairs(20)
    catch_pairs = [PlanPair(1000 + prompt, 99, prompt) for prompt in range(0, 20, 3)]
    shown: Counter[tuple[int, SideName]] = Counter()
    for seed in range(70):
        plan = draw_plan(pairs, shown, catch_pairs=catch_pairs, practice_trials=2, main_trials=20,
                         catch_trials=2, seed=seed)
        shown.update((trial.pair_id, trial.candidate_side) for trial in plan
                     if trial.kind in ("main", "catch"))
    counts = [shown[pair.pair_id, side] for pair in catch_pairs for side in SIDES]
    assert sum(counts) == 140
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize(("num_main", "asked", "left"), [
    (1, (1, 1), (1, 0)), (1, (0, 1), (0, 0)), (2, (0, 2), (0, 1)), (2, (1, 1), (1, 1)),
    (3, (2, 2), (2, 1)), (4, (9, 9), (4, 0)), (4, (0, 9), (0, 3)), (20, (2, 2), (2, 2)),
])
def test_what_has_no_place_is_dropped_repeats_first(
    num_main: int, asked: tuple[int, int], left: tuple[int, int]
) -> None:
    assert clamp_extra(num_main, *asked) == left
    catch_pairs = [PlanPair(1000, 99, 0)]
    plan = draw_plan(make_pairs(num_main), {}, catch_pairs=catch_pairs, practice_trials=0,
                     main_trials=num_main, catch_trials=asked[0], repeat_trials=asked[1], seed=7)
    assert (len(of_kind(plan, "catch")), len(of_kind(plan, "repeat"))) == left


def test_shares_become_whole_trials() -> None:
    assert count_extra(20, catch_percent=10, repeat_percent=5) == (2, 1)
    assert count_extra(16, catch_percent=10, repeat_percent=10) == (2, 2)
    assert count_extra(4, catch_percent=10, repeat_percent=0) == (0, 0)
    assert count_extra(1, catch_percent=50, repeat_percent=50) == (0, 0)
    assert count_extra(3, catch_percent=50, repeat_percent=50) == (2, 1)


def test_catch_pairs_are_few_and_never_more_than_prompts() -> None:
    assert count_catch_pairs(300, catch_trials=4, practice_trials=2) == 14
    assert count_catch_pairs(9, catch_trials=4, practice_trials=2) == 9


def test_places_of_catch_trials_and_repeats_differ_between_participants() -> None:
    pairs, catch_pairs = make_pairs(20), [PlanPair(1000, 99, 0)]
    orders = {tuple(trial.kind for trial in
                    draw_plan(pairs, {}, catch_pairs=catch_pairs, practice_trials=0,
                              main_trials=20, catch_trials=2, repeat_trials=2, seed=seed))
              for seed in range(60)}
    # Of 5 ** 4 places times the orders of the kinds, two rarely meet.
    assert len(orders) > 50


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


def test_catch_trials_without_catch_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="2 catch trials were asked for, but no catch pair"):
        draw_plan(make_pairs(4), {}, practice_trials=0, main_trials=4, catch_trials=2, seed=1)
