"""A study's own contrast, for catch trials: one image has far too few steps."""

from collections.abc import Sequence

from studies.models import Contrast, Pair, Study, StudyPrompt


def update_contrast(study: Study, num_prompts: int) -> Contrast | None:
    """Make the catch contrast what the design asks for; None where it asks for none."""
    if not study.num_catch_pairs(num_prompts):
        return None
    contrast, _ = Contrast.objects.update_or_create(
        study=study, is_catch=True,
        defaults={"candidate_arm": _arm(study), "baseline_arm": "reference"},
    )
    return contrast


def choose_prompts(study: Study, rows: Sequence[StudyPrompt]) -> list[StudyPrompt]:
    """The prompts that have a catch pair: at equal distances in the list."""
    count = study.num_catch_pairs(len(rows))
    return [rows[place * len(rows) // count] for place in range(count)]


def are_up_to_date(study: Study) -> bool:
    """Whether the catch pairs are those that the design asks for, rendered or not."""
    pairs = Pair.objects.filter(contrast__study=study, contrast__is_catch=True)
    arms = list(pairs.values_list("contrast__candidate_arm", flat=True))
    return arms == [_arm(study)] * study.num_catch_pairs(study.study_prompts.count())


def _arm(study: Study) -> str:
    return f"fixed({study.catch_steps})"
