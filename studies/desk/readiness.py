"""What a study still needs before a session of it may open."""

from studies.desk import catch_pairs
from studies.models import Pair, Study, StudyState
from studies.models.pairs import PairQuerySet

# As the study's page calls them.
CATCH_PERCENT = "Catch trials (% of main)"
CATCH_STEPS = "Steps of the bad image"


class StudyNotReady(ValueError):
    """A study or session cannot do what was asked; the message says why, for the experimenter."""


def missing_for_preparation(study: Study) -> list[str]:
    """What must be there before images can be prepared."""
    missing = []
    if not study.study_prompts.exists():
        missing.append("The study has no prompts. Upload a prompt file.")
    if not study.contrasts.compared().exists():
        missing.append("The study compares nothing yet. Add a contrast.")
    reference_steps = study.model.reference_steps
    if study.catch_percent and study.catch_steps >= reference_steps:
        missing.append(
            f"In a catch trial, the bad image would have {number_of(study.catch_steps, 'step')} "
            f"and the good one {reference_steps}. Lower “{CATCH_STEPS}” below {reference_steps}, "
            f"or set “{CATCH_PERCENT}” to 0."
        )
    return missing


def missing_for_launch(study: Study) -> list[str]:
    """What must be there before the first participant comes."""
    if missing := missing_for_preparation(study):
        return missing
    pairs = Pair.objects.filter(contrast__study=study, contrast__is_catch=False)
    num_pairs = pairs.count()
    if num_pairs == 0:
        if study.preparation_error:
            return [f"Preparing failed: {study.preparation_error}"]
        if study.state == StudyState.PREPARING:
            return ["The images are being prepared: budgets are predicted first. Wait a little."]
        return ["The images are not prepared. Press “Prepare images”."]
    return [*_missing_main(study, pairs, num_pairs=num_pairs), *_missing_catch(study)]


def _missing_main(study: Study, pairs: PairQuerySet, *, num_pairs: int) -> list[str]:
    num_ready = pairs.ready().count()
    if num_ready >= study.main_trials:
        return []
    asks = (f"The study asks for {number_of(study.main_trials, 'trial')} per participant, but only "
            f"{number_of(num_ready, 'pair')} of {num_pairs} "
            f"{'is' if num_ready == 1 else 'are'} ready.")
    if num_pairs < study.main_trials:
        return [f"{asks} Add prompts, or lower “main trials” to {num_pairs} or fewer."]
    return [f"{asks} {_remedy(pairs, study.main_trials, setting='main trials')}"]


def _missing_catch(study: Study) -> list[str]:
    """What the catch trials lack; fewer prompts than catch trials are shown again."""
    if not study.catch_percent:
        return []
    if not catch_pairs.are_up_to_date(study):
        if study.preparation_error:
            return [f"Preparing the catch trials failed: {study.preparation_error}"]
        if study.state == StudyState.PREPARING:
            return ["The pairs for catch trials are being made. Wait a little."]
        return ["The pairs for catch trials are not made. Press “Prepare images again”."]
    pairs = Pair.objects.filter(contrast__study=study, contrast__is_catch=True)
    num_pairs, num_ready = pairs.count(), pairs.ready().count()
    num_needed = min(study.num_catch_trials(), num_pairs)
    if num_ready >= num_needed:
        return []
    return [f"The study asks for {number_of(study.num_catch_trials(), 'catch trial')} per "
            f"participant, but only {number_of(num_ready, 'catch pair')} of {num_pairs} "
            f"{'is' if num_ready == 1 else 'are'} ready. "
            f"{_remedy(pairs, num_needed, setting=CATCH_PERCENT)}"]


def _remedy(pairs: PairQuerySet, num_needed: int, *, setting: str) -> str:
    num_stopped = pairs.stopped().count()
    if pairs.count() - num_stopped >= num_needed:
        return f"Wait for rendering, or lower “{setting}”."
    return (f"{number_of(num_stopped, 'pair')} {'waits' if num_stopped == 1 else 'wait'} for an "
            f"image that failed or was cancelled: try the failed images again, or lower "
            f"“{setting}”.")


def number_of(number: int, noun: str) -> str:
    """A number with its noun, as a sentence needs it."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
