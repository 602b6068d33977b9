"""A participant's whole trial list, drawn once from a seed."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, groupby, islice

from studies.method.weaving import KindName, PlannedTrial, SideName, clamp_extra, weave

Shown = Mapping[tuple[int, SideName], int]
# So that participants, and one participant's practice and catch trials, differ in their prompts.
CATCH_PAIRS_PER_TRIAL = 3


@dataclass(frozen=True)
class PlanPair:
    """A pair that can be shown, by the keys that decide who may see it when."""

    pair_id: int
    contrast_id: int
    prompt_id: int


def draw_plan(
    pairs: Sequence[PlanPair],
    shown: Shown,
    *,
    practice_trials: int,
    main_trials: int,
    seed: int,
    catch_pairs: Sequence[PlanPair] = (),
    catch_trials: int = 0,
    repeat_trials: int = 0,
) -> list[PlannedTrial]:
    """Draw practice trials and then all others, in the order in which they will be shown.

    Of the main trials, the pairs shown least come first, and each prompt at most once per
    contrast. Sides are half and half within the main trials (an odd count differs by one), within
    the practice trials, within the catch trials, and within all of these together. The balancing
    rule is ours: pairs are taken so that the sides they are short of cancel out, and the half of
    them that most lacks the left gets it. When every contrast has one pair per prompt and each
    participant's plan counts, no (pair, side) is ever shown in main trials more than once oftener
    than another.

    Catch trials and repeats stand between the main trials, spread evenly with jitter, none of them
    first and never two together. A repeat shows a main trial's pair once more with the sides
    swapped, at least three places later (two where repeats follow nearly every main trial); main
    trials are chosen for it so that its own sides come out even too, as far as those shown before
    it allow.

    Parameters
    ----------
    pairs : sequence of PlanPair
        Every pair that is ready and is asked about, in any order.
    shown : mapping of (int, str) to int
        How often each (pair, candidate side) stands in main and catch trials so far; missing means
        never.
    practice_trials : int
        At least 0. Practice shows catch pairs if there are any, as their answer is known. It
        prefers pairs and prompts that the other trials leave out, and uses pairs again where there
        are too few.
    main_trials : int
        At least 1, at most the number of different (contrast, prompt) among the pairs.
    seed : int
        The same seed, pairs and counts give the same plan.
    catch_pairs : sequence of PlanPair
        Every catch pair that is ready, in any order.
    catch_trials, repeat_trials : int
        At least 0, and lowered to those that have a place: see `clamp_extra`. Catch trials prefer
        prompts that the main trials leave out, then pairs shown least, and use pairs again where
        there are too few.

    Returns
    -------
    list of PlannedTrial
        `repeat_of` is the place in this list, from 0.

    Raises
    ------
    ValueError
        If a count lies outside its range, or there are catch trials but no catch pairs.
    """
    counts = (practice_trials, main_trials, catch_trials, repeat_trials)
    if min(counts) < 0 or main_trials < 1:
        raise ValueError("expected at least 0 practice, 1 main, 0 catch and 0 repeat trials, got "
                         "{} and {} and {} and {}".format(*counts))
    if (available := count_showable(pairs)) < main_trials:
        raise ValueError(f"{main_trials} main trials were asked for, {available} can be shown")
    if catch_trials and not catch_pairs:
        raise ValueError(f"{catch_trials} catch trials were asked for, but no catch pair is there")
    catch_trials, repeat_trials = clamp_extra(main_trials, catch_trials, repeat_trials)
    rng = random.Random(seed)
    deck = _shuffled(pairs, rng)
    main = _draw_main(deck, shown, count=main_trials, rng=rng)
    main_pairs = {trial.pair_id for trial in main}
    main_prompts = {pair.prompt_id for pair in deck if pair.pair_id in main_pairs}
    catch_deck = _shuffled(catch_pairs, rng)
    catch = _draw_catch(catch_deck, shown, main=main, prompts=main_prompts, count=catch_trials,
                        rng=rng)
    practice = _draw_practice(catch_deck or deck, shown_later=main + catch, prompts=main_prompts,
                              count=practice_trials, rng=rng)
    block = weave(main, catch, num_repeats=repeat_trials,
                  tilt=_tilt_of(practice + main + catch), rng=rng)
    return practice + [
        trial if trial.repeat_of is None
        else replace(trial, repeat_of=trial.repeat_of + practice_trials)
        for trial in block
    ]


def count_extra(main_trials: int, *, catch_percent: int, repeat_percent: int) -> tuple[int, int]:
    """Count the catch trials and the repeats that a participant has: shares of the main trials."""
    return clamp_extra(main_trials, round(catch_percent * main_trials / 100),
                       round(repeat_percent * main_trials / 100))


def count_catch_pairs(num_prompts: int, *, catch_trials: int, practice_trials: int) -> int:
    """Count the catch pairs that a study is given: enough for variety, few enough to be cheap."""
    return min(num_prompts, CATCH_PAIRS_PER_TRIAL * catch_trials + practice_trials)


def count_showable(pairs: Sequence[PlanPair]) -> int:
    """Count the main trials that one participant can have: one per prompt and contrast."""
    return len({_place(pair) for pair in pairs})


def _shuffled(pairs: Sequence[PlanPair], rng: random.Random) -> list[PlanPair]:
    deck = sorted(pairs, key=lambda pair: pair.pair_id)
    rng.shuffle(deck)
    return deck


def _draw_main(
    deck: Sequence[PlanPair], shown: Shown, *, count: int, rng: random.Random
) -> list[PlannedTrial]:
    """Draw the main trials in the order in which they are shown."""
    # An odd plan has one side more: the one that everything shown so far lacks.
    odd_tilt = _sign(sum(_tilt(pair, shown) for pair in deck)) if count % 2 else 0
    chosen = _choose_main(deck, shown, count=count, aim=odd_tilt)
    odd_tilt = odd_tilt or _sign(sum(_tilt(pair, shown) for pair in chosen)) or rng.choice((-1, 1))
    main = _give_sides("main", chosen, shown, num_left=_num_left(count, tilt=odd_tilt))
    rng.shuffle(main)
    return main


def _draw_catch(
    deck: Sequence[PlanPair], shown: Shown, *, main: Sequence[PlannedTrial], prompts: set[int],
    count: int, rng: random.Random,
) -> list[PlannedTrial]:
    """Draw the catch trials, with the odd side against that of the main trials."""
    best_first = sorted(deck, key=lambda pair: (pair.prompt_id in prompts, _total(pair, shown)))
    chosen = list(islice(cycle(best_first), count))
    tilt = _tilt_of(main) or rng.choice((-1, 1))
    catch = _give_sides("catch", chosen, shown, num_left=_num_left(count, tilt=tilt))
    rng.shuffle(catch)
    return catch


def _tilt(pair: PlanPair, shown: Shown) -> int:
    """How much oftener the candidate stood on the left than on the right."""
    return shown.get((pair.pair_id, "left"), 0) - shown.get((pair.pair_id, "right"), 0)


def _total(pair: PlanPair, shown: Shown) -> int:
    return shown.get((pair.pair_id, "left"), 0) + shown.get((pair.pair_id, "right"), 0)


def _choose_main(
    deck: Sequence[PlanPair], shown: Shown, *, count: int, aim: int
) -> list[PlanPair]:
    """Take the least shown pairs; among equals those whose tilts sum to `aim`, then variety."""
    chosen: list[PlanPair] = []
    uses: Counter[tuple[str, int]] = Counter()
    missing = aim

    def cost(candidate: tuple[PlanPair, int]) -> tuple[int, int, int]:
        pair, tilt = candidate
        return (abs(missing - tilt), uses["prompt", pair.prompt_id],
                uses["contrast", pair.contrast_id])

    # Sorted once: in long lists, comparing every pair for each place is slow.
    by_total = sorted(deck, key=lambda pair: _total(pair, shown))
    taken: set[tuple[int, int]] = set()
    for _, equals in groupby(by_total, key=lambda pair: _total(pair, shown)):
        left = [(pair, _tilt(pair, shown)) for pair in equals]
        while len(chosen) < count and (left := [each for each in left
                                                if _place(each[0]) not in taken]):
            best, tilt = min(left, key=cost)
            chosen.append(best)
            taken.add(_place(best))
            missing -= tilt
            uses["prompt", best.prompt_id] += 1
            uses["contrast", best.contrast_id] += 1
    return chosen


def _place(pair: PlanPair) -> tuple[int, int]:
    """What a participant sees at most once in main trials."""
    return pair.contrast_id, pair.prompt_id


def _num_left(count: int, *, tilt: int) -> int:
    """Half of `count`; an odd one goes to the left if the tilt is to the right."""
    return (count + 1) // 2 if tilt < 0 else count // 2


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _tilt_of(trials: Sequence[PlannedTrial]) -> int:
    return sum(1 if trial.candidate_side == "left" else -1 for trial in trials)


def _give_sides(
    kind: KindName, chosen: Sequence[PlanPair], shown: Shown, *, num_left: int
) -> list[PlannedTrial]:
    """Give the left to the pairs that lack it most. Equal pairs keep the deck's random order."""
    lacking_left_first = sorted(chosen, key=lambda pair: _tilt(pair, shown))
    return [
        PlannedTrial(kind, pair.pair_id, "left" if place < num_left else "right")
        for place, pair in enumerate(lacking_left_first)
    ]


def _draw_practice(
    deck: Sequence[PlanPair], *, shown_later: Sequence[PlannedTrial], prompts: set[int],
    count: int, rng: random.Random,
) -> list[PlannedTrial]:
    """Draw the practice trials, with the odd side against that of the others."""
    later = {trial.pair_id for trial in shown_later}
    unused_first = sorted(deck, key=lambda pair: (pair.pair_id in later, pair.prompt_id in prompts))
    num_left = _num_left(count, tilt=_tilt_of(shown_later) or rng.choice((-1, 1)))
    sides: list[SideName] = ["left" if place < num_left else "right" for place in range(count)]
    rng.shuffle(sides)
    return [
        PlannedTrial("practice", unused_first[place % len(unused_first)].pair_id, side)
        for place, side in enumerate(sides)
    ]
