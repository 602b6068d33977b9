"""The numbers of a study in words: sentences, table rows and figure panels."""

import math
from dataclasses import dataclass

from studies.analysis.clustered import ClusteredRate
from studies.analysis.figures import Estimate, Panel
from studies.analysis.participants import ParticipantMean
from studies.analysis.rates import CHANCE_LEVEL, Interval
from studies.analysis.savings import Saving
from studies.models import Contrast, Side, Task
from studies.results.summary import Answers, ContrastSummary, Refused, StudySummary


@dataclass(frozen=True)
class EstimateRow:
    """One row of the table of estimates; `refusal` stands where its numbers cannot be given."""

    key: str
    name: str
    method: str
    unit: str
    rate: float | None = None
    spread: str = ""
    interval: str = ""
    p_value: str = ""
    refusal: str = ""
    is_headline: bool = False

    @property
    def percent(self) -> str:
        return "" if self.rate is None else percent(self.rate)


@dataclass(frozen=True)
class SavingRow:
    """One row of the table of savings."""

    quantity: str
    candidate: str
    reference: str
    saved: str
    share: str
    images: str


@dataclass(frozen=True)
class ContrastReport:
    """One contrast as the page shows it."""

    summary: ContrastSummary
    headline: str = ""
    verdict: str = ""
    estimates: tuple[EstimateRow, ...] = ()
    sides: str = ""
    cautions: tuple[str, ...] = ()
    savings: tuple[SavingRow, ...] = ()
    alone: str = ""
    attribution: str = ""


def report(summary: ContrastSummary) -> ContrastReport:
    """Put one contrast into words."""
    savings, alone, attribution = saving_rows(summary), _alone(summary), _attribution(summary)
    answers, contrast = summary.answers, summary.contrast
    left_out = _left_out(summary)
    if answers is None:
        return ContrastReport(summary, cautions=left_out, savings=savings, alone=alone,
                              attribution=attribution)
    return ContrastReport(
        summary,
        headline=_headline(answers, contrast),
        verdict=_verdict(answers, contrast),
        estimates=estimate_rows(answers),
        sides=_sides(answers),
        cautions=left_out + _unfinished(answers),
        savings=savings,
        alone=alone,
        attribution=attribution,
    )


def panels(summary: StudySummary) -> list[Panel]:
    """The figure's panels: one per contrast that has answers."""
    return [_panel(contrast.contrast, contrast.answers)
            for contrast in summary.contrasts if contrast.answers]


def percent(rate: float) -> str:
    return f"{100 * rate:.1f}%"


def _headline(answers: Answers, contrast: Contrast) -> str:
    """Say how often the candidate was chosen, by how many people, and with what interval."""
    interval = ""
    if not isinstance(answers.clustered, Refused):
        interval = f"95% CI {_interval(answers.clustered.interval)}; "
    return (f"The {contrast.candidate_arm} image was {_chosen_over(contrast)} in "
            f"{percent(answers.pooled.rate)} of trials ({interval}{_counts(answers)}; "
            f"chance {CHANCE_LEVEL:.0%}).")


def _chosen_over(contrast: Contrast) -> str:
    if contrast.study.task == Task.SIMILARITY:
        return f"judged closer to the image above than the {contrast.baseline_arm} image"
    return f"preferred over the {contrast.baseline_arm} image"


def _verdict(answers: Answers, contrast: Contrast) -> str:
    """Read the interval against chance. An interval that includes chance shows nothing."""
    if isinstance(answers.clustered, Refused):
        return (f"No interval that holds for other people and prompts: {answers.clustered.reason}. "
                "The intervals below treat trials as if they were independent.")
    interval = answers.clustered.interval
    if interval.low <= CHANCE_LEVEL <= interval.high:
        return ("The interval includes chance, so these answers neither show a difference nor rule "
                "one out. That is no evidence that the two look the same: such a claim needs an "
                "equivalence test, with a margin fixed before the answers.")
    is_behind = interval.high < CHANCE_LEVEL
    favoured = contrast.baseline_arm if is_behind else contrast.candidate_arm
    return (f"The interval excludes chance: people tell the two apart, and choose the {favoured} "
            "image more often than guessing would.")


def estimate_rows(answers: Answers) -> tuple[EstimateRow, ...]:
    """The table of estimates, the headline first."""
    pooled = answers.pooled
    trials = _number(answers.num_trials, "trial")
    independent = "As if trials were independent; exact binomial p"
    return (
        _clustered_row(answers.clustered, answers),
        _participant_row(answers.participants, answers),
        EstimateRow(
            "wilson", "Pooled, Wilson", independent, trials, rate=pooled.rate,
            interval=_interval(pooled.wilson), p_value=_p(pooled.p_value),
        ),
        EstimateRow(
            "clopper-pearson", "Pooled, Clopper–Pearson", independent, trials, rate=pooled.rate,
            interval=_interval(pooled.clopper_pearson), p_value=_p(pooled.p_value),
        ),
    )


def _clustered_row(clustered: ClusteredRate | Refused, answers: Answers) -> EstimateRow:
    key, name = "clustered", "Two-way clustered"
    method = "Allows for repeated participants and prompts (Cameron, Gelbach and Miller)"
    if isinstance(clustered, Refused):
        return EstimateRow(key, name, method, _counts(answers), refusal=clustered.reason,
                           is_headline=True)
    return EstimateRow(
        key, name, f"{method}; t, {clustered.degrees_of_freedom} df", _counts(answers),
        rate=clustered.rate, interval=_interval(clustered.interval),
        p_value=_p(clustered.p_value), is_headline=True,
    )


def _participant_row(mean: ParticipantMean | Refused, answers: Answers) -> EstimateRow:
    key, name = "participants", "Mean ± SD over participants"
    unit = _number(answers.num_participants, "participant")
    method = "Each participant counts once; ± is the SD between participants"
    if isinstance(mean, Refused):
        return EstimateRow(key, name, method, unit, refusal=mean.reason)
    return EstimateRow(
        key, name, f"{method}; t, {mean.degrees_of_freedom} df", unit, rate=mean.mean,
        spread=f"± {percent(mean.sd)}", interval=_interval(mean.interval),
        p_value=_p(mean.p_value),
    )


def _sides(answers: Answers) -> str:
    """Say how often left was chosen, and the candidate's rate on either side."""
    bias = answers.sides
    text = (f"Left was chosen in {percent(bias.rate)} of {_number(bias.trials, 'trial')} "
            f"(95% CI {_interval(bias.wilson)}, Wilson; exact binomial {_p_said(bias.p_value)}, "
            "as if trials were independent).")
    by_side = [f"{percent(answers.rate_by_side[side].rate)} of "
               f"{answers.rate_by_side[side].trials} when on the {side}"
               for side in Side.values if side in answers.rate_by_side]
    return f"{text} The candidate was chosen in {' and '.join(by_side)}."


def _left_out(summary: ContrastSummary) -> tuple[str, ...]:
    """Say which prompts the rate and the savings do not speak of."""
    if not summary.num_left_out:
        return ()
    was = "was" if summary.num_left_out == 1 else "were"
    return (f"{summary.num_left_out:,} of {_number(summary.num_prompts, 'prompt')} got equal step "
            f"counts from both arms and {was} not shown; rate and savings speak of the others.",)


def _unfinished(answers: Answers) -> tuple[str, ...]:
    """Say whose answers count although they stopped."""
    if not answers.num_unfinished_participants:
        return ()
    return (f"Includes {_number(answers.num_unfinished_trials, 'answer')} of "
            f"{_number(answers.num_unfinished_participants, 'participant')} who did not finish, "
            "or not yet. In the CSV their remaining trials have an empty response.",)


def saving_rows(summary: ContrastSummary) -> tuple[SavingRow, ...]:
    """The table of savings: steps always, seconds where they were measured, alone or shared."""
    rows = []
    if summary.savings.steps:
        rows.append(_saving_row("Denoising steps", summary.savings.steps, digits=1))
    if summary.savings.steps_of_all:
        rows.append(_saving_row("Denoising steps, all prompts: those not shown count as none saved",
                                summary.savings.steps_of_all, digits=1))
    if not isinstance(summary.savings.alone, Refused):
        rows.append(_saving_row("Seconds per prompt, measured alone",
                                summary.savings.alone.saving, digits=2))
    if summary.savings.seconds:
        rows.append(_saving_row("Seconds, attributed by share of batch",
                                summary.savings.seconds, digits=2))
        rows.append(_median_row("Seconds, attributed: median", summary.savings.seconds, digits=2))
    return tuple(rows)


def _saving_row(quantity: str, saved: Saving, *, digits: int) -> SavingRow:
    spread = "" if saved.sd_saved is None else f" ± {saved.sd_saved:.{digits}f}"
    return SavingRow(
        quantity=quantity,
        candidate=f"{saved.mean_candidate:.{digits}f}",
        reference=f"{saved.mean_reference:.{digits}f}",
        saved=f"{saved.mean_saved:.{digits}f}{spread}",
        share=percent(saved.share_saved),
        images=str(saved.num_images),
    )


def _median_row(quantity: str, saved: Saving, *, digits: int) -> SavingRow:
    return SavingRow(
        quantity=quantity,
        candidate=f"{saved.median_candidate:.{digits}f}",
        reference=f"{saved.median_reference:.{digits}f}",
        saved=f"{saved.median_saved:.{digits}f}",
        share=percent(saved.median_share),
        images=str(saved.num_images),
    )


def _alone(summary: ContrastSummary) -> str:
    """Say how the seconds of images rendered alone were found, or how to get them."""
    found, latencies = summary.savings.alone, summary.savings.latencies
    if isinstance(found, Refused):
        return (f"No seconds measured alone: {found.reason}. Choose “Measure latency” for "
                f"{summary.contrast.study.model} under Models in the admin.")
    line = "" if found.r_squared is None else (
        f"; a straight line through them has R² = {_r_squared(found.r_squared)}")
    return (f"Measured alone, interpolated linearly between {found.num_measured} measured step "
            f"counts, {found.fewest_steps} to {found.most_steps}{line}. One image at a time on "
            f"{latencies[0].place()}; median of {_number(latencies[0].repeats, 'image')} at each "
            f"count. {_number(summary.num_paired_prompts, 'prompt')}.")


def _r_squared(value: float) -> str:
    """Never round up to a perfect fit."""
    return f"{math.floor(value * 1e4) / 1e4:.4f}" if value < 1 else "1"


def _attribution(summary: ContrastSummary) -> str:
    """Say where the seconds of images rendered in batches come from, or why there are none."""
    savings = summary.savings
    if savings.seconds is None or savings.steps is None:
        if savings.num_timed:
            return ("No seconds attributed: no image of this contrast was timed on the same device "
                    "and at the same batch size as its full-step image, so their times cannot be "
                    "compared.")
        return ("No seconds attributed: no image of this contrast has been rendered and timed also "
                "at the full step count, from the same prompt and seed.")
    text = (f"Attributed while rendering, on {'; '.join(savings.places)}: images are rendered "
            "together, and each is charged its share. That is what the images cost here, not how "
            "long one person would wait for one. One image rendered while the machine was busy "
            "moves a mean, and a median little.")
    missing = savings.steps.num_images - savings.seconds.num_images
    if missing:
        text += f" That row leaves out {_number(missing, 'image')} not timed so."
    return text


def _panel(contrast: Contrast, answers: Answers) -> Panel:
    estimates = [
        Estimate("Pooled, Wilson", answers.pooled.rate, answers.pooled.wilson),
        Estimate("Pooled, Clopper–Pearson", answers.pooled.rate, answers.pooled.clopper_pearson),
    ]
    if not isinstance(answers.participants, Refused):
        mean = answers.participants
        estimates.insert(0, Estimate("Mean over participants", mean.mean, mean.interval))
    if not isinstance(answers.clustered, Refused):
        headline = answers.clustered
        estimates.insert(0, Estimate("Two-way clustered", headline.rate, headline.interval,
                                     is_headline=True))
    return Panel(
        title=str(contrast),
        counts=_counts(answers),
        axis_label=f"{contrast.candidate_arm} chosen (% of trials)",
        estimates=estimates,
        participant_rates=answers.participant_rates,
    )


def _counts(answers: Answers) -> str:
    return (f"{_number(answers.num_participants, 'participant')}, "
            f"{_number(answers.num_prompts, 'prompt')}, {_number(answers.num_trials, 'trial')}")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _interval(interval: Interval) -> str:
    return f"{100 * interval.low:.1f} to {percent(interval.high)}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _p_said(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
