"""Where catch trials and repeats stand among a participant's main trials."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

SideName = Literal["left", "right"]
KindName = Literal["practice", "main", "catch", "repeat"]

# A repeat so near to its first showing would be recognised rather than judged.
FEWEST_PLACES_APART = 3


@dataclass(frozen=True)
class PlannedTrial:
    """One line of a plan: what kind, which pair, and where its candidate stands."""

    kind: KindName
    pair_id: int
    candidate_side: SideName
    # The place of the main trial that is shown again, from 0: in the block, then in the plan.
    repeat_of: int | None = None


def clamp_extra(main_trials: int, catch_trials: int, repeat_trials: int) -> tuple[int, int]:
    """Lower the numbers of catch trials and repeats to those that have a place.

    Behind each main trial stands one of them at most, and never a repeat of that very trial: so
    together they are at most as many as the main trials, and the repeats fewer than those. Repeats
    are dropped first.
    """
    catch_trials = min(catch_trials, main_trials)
    return catch_trials, max(min(repeat_trials, main_trials - catch_trials, main_trials - 1), 0)


def weave(
    main: Sequence[PlannedTrial],
    catch: Sequence[PlannedTrial],
    *,
    num_repeats: int,
    tilt: int,
    rng: random.Random,
) -> list[PlannedTrial]:
    """Put catch trials and repeats between the main trials, which keep their order.

    The main trials are cut into as many runs of equal length (to one) as there are catch trials
    and repeats, and in each run one stands behind a main trial drawn at random: so none comes
    first and no two meet. A repeat has its sides swapped and stands at least three places behind
    the trial that it repeats. Only where repeats alone follow nearly every main trial may it be
    two.

    Parameters
    ----------
    main, catch : sequence of PlannedTrial
    num_repeats : int
        With the catch trials, as few as `clamp_extra` leaves.
    tilt : int
        How much oftener the candidate stands on the left than on the right in the trials that are
        no repeats. Where there is a choice, the main trial to repeat is one that brings them
        together.
    rng : random.Random
    """
    slots = _slots(len(main), len(catch), num_repeats=num_repeats, rng=rng)
    waiting = _kinds(len(catch), num_repeats, rng=rng)
    catch_left = list(catch)
    block: list[PlannedTrial] = []
    for number, trial in enumerate(main, start=1):
        block.append(trial)
        if number not in slots:
            continue
        far = _places_apart(block, at_least=FEWEST_PLACES_APART)
        # Too early for a repeat: a catch trial takes its turn.
        kind = waiting[0] if far or "catch" not in waiting else "catch"
        waiting.remove(kind)
        if kind == "catch":
            block.append(catch_left.pop(0))
            continue
        place = _choose(far or _places_apart(block, at_least=2), block, tilt=tilt, rng=rng)
        block.append(_swapped(block[place], place=place))
        tilt += _sign_of(block[-1].candidate_side)
    return block


def _slots(num_main: int, num_catch: int, *, num_repeats: int, rng: random.Random) -> set[int]:
    """Draw the numbers, from 1, of the main trials that a catch trial or a repeat follows."""
    count = num_catch + num_repeats
    # A repeat needs main trials before it. Where catch trials may go first, it has them.
    first = 1 if num_catch else min(FEWEST_PLACES_APART, num_main - num_repeats + 1)
    length = num_main - first + 1
    edges = [first + place * length // count for place in range(count + 1)] if count else []
    return {rng.randrange(low, high) for low, high in pairwise(edges)}


def _kinds(num_catch: int, num_repeats: int, *, rng: random.Random) -> list[KindName]:
    """Draw an order in which each kind is spread evenly, with jitter."""
    counts: dict[KindName, int] = {"catch": num_catch, "repeat": num_repeats}
    drawn = [((place + rng.random()) / count, kind)
             for kind, count in counts.items() for place in range(count)]
    return [kind for _, kind in sorted(drawn)]


def _places_apart(block: Sequence[PlannedTrial], *, at_least: int) -> list[int]:
    """The main trials, not repeated yet, so many places before the end of the block or more."""
    repeated = {trial.repeat_of for trial in block}
    return [place for place, trial in enumerate(block[: len(block) - at_least + 1])
            if trial.kind == "main" and place not in repeated]


def _choose(places: Sequence[int], block: Sequence[PlannedTrial], *, tilt: int,
            rng: random.Random) -> int:
    """Draw one, if possible one whose swap stands against the tilt."""
    against = [place for place in places if _sign_of(block[place].candidate_side) * tilt >= 0]
    return rng.choice(against or places)


def _swapped(trial: PlannedTrial, *, place: int) -> PlannedTrial:
    side: SideName = "right" if trial.candidate_side == "left" else "left"
    return PlannedTrial("repeat", trial.pair_id, side, repeat_of=place)


def _sign_of(side: SideName) -> int:
    return 1 if side == "left" else -1
