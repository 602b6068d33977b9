"""Who is left out of the analysis, and why: rules that are fixed before the answers."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

ReasonCode = Literal["catch", "side", "speed", "incomplete"]


@dataclass(frozen=True)
class ExclusionRules:
    """Thresholds of a study's design; None turns a rule off.

    `least_catch_rate` and `most_side_share` are proportions, `least_median_ms` milliseconds.
    Who is exactly at a threshold stays in.
    """

    least_catch_rate: float | None = 0.8
    most_side_share: float | None = 0.9
    least_median_ms: float | None = 400
    is_completion_required: bool = True

    def __post_init__(self) -> None:
        for name, low, high in (
            ("least_catch_rate", 0, 1), ("most_side_share", 0.5, 1),
            ("least_median_ms", 0, 600_000),
        ):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ValueError(f"{name} must lie from {low} to {high}, got {value}")


@dataclass(frozen=True)
class AnswerRecord:
    """What the rules look at, of one participant."""

    num_catch_trials: int  # Answered.
    num_catch_correct: int
    num_left: int  # Main trials in which the left image was chosen.
    num_right: int
    response_ms: Sequence[float]  # Of the answered main trials.
    is_complete: bool  # Every planned trial was answered.

    def __post_init__(self) -> None:
        if not 0 <= self.num_catch_correct <= self.num_catch_trials:
            raise ValueError("expected 0 <= correct <= catch trials, "
                             f"got {self.num_catch_correct} of {self.num_catch_trials}")
        if min(self.num_left, self.num_right) < 0:
            raise ValueError(f"expected counts from 0, got {self.num_left} answers on the left "
                             f"and {self.num_right} on the right")
        wrong = [time for time in self.response_ms if not 0 < time < float("inf")]
        if wrong:
            raise ValueError(f"a response time must be above zero and finite, got {wrong[0]}")


@dataclass(frozen=True)
class ExclusionReason:
    """One rule that a participant does not meet: a name for tables, a sentence for people."""

    code: ReasonCode
    sentence: str


def screen(
    records: Mapping[Hashable, AnswerRecord], rules: ExclusionRules
) -> dict[Hashable, list[ExclusionReason]]:
    """Give the reasons to leave out each participant; an empty list for who stays in."""
    return {participant: exclusion_reasons(record, rules)
            for participant, record in records.items()}


def exclusion_reasons(record: AnswerRecord, rules: ExclusionRules) -> list[ExclusionReason]:
    """List every rule that one participant does not meet.

    Parameters
    ----------
    record : AnswerRecord
    rules : ExclusionRules

    Returns
    -------
    list of ExclusionReason
        In the order catch trials, side, speed, completion. A rule about answers that were never
        given or asked for is met.
    """
    checks = (_catch(record, rules), _side(record, rules), _speed(record, rules),
              _completion(record, rules))
    return [reason for reason in checks if reason]


def _catch(record: AnswerRecord, rules: ExclusionRules) -> ExclusionReason | None:
    least, trials = rules.least_catch_rate, record.num_catch_trials
    # Compared as counts with a little slack: 4 / 5 and .8 are the same number to people.
    if least is None or record.num_catch_correct >= least * trials - 1e-9:
        return None
    return ExclusionReason("catch", f"{record.num_catch_correct} of {trials} catch trials are "
                           f"right, fewer than {least:.0%}.")


def _side(record: AnswerRecord, rules: ExclusionRules) -> ExclusionReason | None:
    most, total = rules.most_side_share, record.num_left + record.num_right
    count = max(record.num_left, record.num_right)
    if most is None or count <= most * total + 1e-9:
        return None
    side = "left" if record.num_left == count else "right"
    return ExclusionReason("side", f"{count} of {total} answers are on the {side}, "
                           f"more than {most:.0%}.")


def _speed(record: AnswerRecord, rules: ExclusionRules) -> ExclusionReason | None:
    least = rules.least_median_ms
    if least is None or not record.response_ms or median(record.response_ms) >= least:
        return None
    return ExclusionReason("speed", f"Half of the answers took {median(record.response_ms):.0f} "
                           f"ms or less, under {least:.0f} ms.")


def _completion(record: AnswerRecord, rules: ExclusionRules) -> ExclusionReason | None:
    if record.is_complete or not rules.is_completion_required:
        return None
    return ExclusionReason("incomplete", "Not every trial was answered.")
