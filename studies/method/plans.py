"""A participant's whole trial list, drawn once from a seed."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SideName = Literal["left", "right"]
KindName = Literal["practice", "main"]
Shown = Mapping[tuple[int, SideName], int]


@dataclass(frozen=True)
class PlanPair:
    """A pair that can be shown, by the keys that decide who may see it when."""

    pair_id: int
    contrast_id: int
    prompt_id: int


@dataclass(frozen=True)
class PlannedTrial:
    """One line of a plan: what kind, which pair, and where its candidate stands."""

    kind: KindName
    pair_id: int
    candidate_side: SideName


def draw_plan(
    pairs: Sequence[PlanPair],
    shown: Shown,
    *,
    practice_trials: int,
    main_trials: int,
    seed: int,
) -> list[PlannedTrial]:
    """Draw practice and then main trials, in the order in which they will be shown.

    The pairs shown least come first, and each prompt at most once per contrast. Sides are half
    and half within the main trials (an odd count differs by one), within the practice trials, and
    within both together. The balancing rule is ours: pairs are taken so that the sides they are
    short of cancel out, and the half of them that most lacks the left gets it. When every
    contrast has one pair per prompt and each participant's plan counts, no (pair, side) is ever
    shown more than once oftener than another.

    Parameters
    ----------
    pairs : sequence of PlanPair
        Every pair that is ready, in any order.
    shown : mapping of (int, str) to int
        How often each (pair, candidate side) stands in main trials so far; missing means never.
    practice_trials : int
        At least 0. Practice prefers prompts that the main trials leave out, and uses pairs again
        where there are too few.
    main_trials : int
        At least 1, at most the number of different (contrast, prompt) among the pairs.
    seed : int
        The same seed, pairs and counts give the same plan.

    Returns
    -------
    list of PlannedTrial
        `practice_trials` + `main_trials` of them.

    Raises
    ------
    ValueError
        If a count lies outside its range.
    """
    if practice_trials < 0 or main_trials < 1:
        raise ValueError(
            "expected at least 0 practice and 1 main trials, "
            f"got {practice_trials} and {main_trials}"
        )
    if (available := count_showable(pairs)) < main_trials:
        raise ValueError(f"{main_trials} main trials were asked for, {available} can be shown")
    rng = random.Random(seed)
    deck = sorted(pairs, key=lambda pair: pair.pair_id)
    rng.shuffle(deck)
    # An odd plan has one side more: the one that everything shown so far lacks.
    odd_tilt = _sign(sum(_tilt(pair, shown) for pair in deck)) if main_trials % 2 else 0
    chosen = _choose_main(deck, shown, count=main_trials, aim=odd_tilt)
    odd_tilt = odd_tilt or _sign(sum(_tilt(pair, shown) for pair in chosen)) or rng.choice((-1, 1))
    main = _give_sides(chosen, shown, num_left=_num_left(main_trials, tilt=odd_tilt))
    rng.shuffle(main)
    practice = _draw_practice(deck, main=main, count=practice_trials, rng=rng)
    return practice + main


def count_showable(pairs: Sequence[PlanPair]) -> int:
    """Count the main trials that one participant can have: one per prompt and contrast."""
    return len({(pair.contrast_id, pair.prompt_id) for pair in pairs})


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

    def cost(pair: PlanPair) -> tuple[int, int, int, int]:
        return (
            _total(pair, shown),
            abs(missing - _tilt(pair, shown)),
            uses["prompt", pair.prompt_id],
            uses["contrast", pair.contrast_id],
        )

    left = list(deck)
    while len(chosen) < count:
        best = min(left, key=cost)
        chosen.append(best)
        missing -= _tilt(best, shown)
        uses["prompt", best.prompt_id] += 1
        uses["contrast", best.contrast_id] += 1
        taken = (best.contrast_id, best.prompt_id)
        left = [pair for pair in left if (pair.contrast_id, pair.prompt_id) != taken]
    return chosen


def _num_left(count: int, *, tilt: int) -> int:
    """Half of `count`; an odd one goes to the left if the tilt is to the right."""
    return (count + 1) // 2 if tilt < 0 else count // 2


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _give_sides(
    chosen: Sequence[PlanPair], shown: Shown, *, num_left: int
) -> list[PlannedTrial]:
    """Give the left to the pairs that lack it most. Equal pairs keep the deck's random order."""
    lacking_left_first = sorted(chosen, key=lambda pair: _tilt(pair, shown))
    return [
        PlannedTrial("main", pair.pair_id, "left" if place < num_left else "right")
        for place, pair in enumerate(lacking_left_first)
    ]


def _draw_practice(
    deck: Sequence[PlanPair], *, main: Sequence[PlannedTrial], count: int, rng: random.Random
) -> list[PlannedTrial]:
    """Draw the practice trials, with the odd side against that of the main trials."""
    main_pairs = {trial.pair_id for trial in main}
    main_prompts = {pair.prompt_id for pair in deck if pair.pair_id in main_pairs}
    unused_first = sorted(deck, key=lambda pair: pair.prompt_id in main_prompts)
    tilt = sum(1 if trial.candidate_side == "left" else -1 for trial in main)
    num_left = _num_left(count, tilt=tilt or rng.choice((-1, 1)))
    sides: list[SideName] = ["left" if place < num_left else "right" for place in range(count)]
    rng.shuffle(sides)
    return [
        PlannedTrial("practice", unused_first[place % len(unused_first)].pair_id, side)
        for place, side in enumerate(sides)
    ]
