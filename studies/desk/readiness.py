"""What a study still needs before a session of it may open."""

from studies.models import Pair, Study, StudyState


class StudyNotReady(ValueError):
    """A study or session cannot do what was asked; the message says why, for the experimenter."""


def missing_for_preparation(study: Study) -> list[str]:
    """What must be there before images can be prepared."""
    missing = []
    if not study.study_prompts.exists():
        missing.append("The study has no prompts. Upload a prompt file.")
    if not study.contrasts.exists():
        missing.append("The study compares nothing yet. Add a contrast.")
    return missing


def missing_for_launch(study: Study) -> list[str]:
    """What must be there before the first participant comes."""
    if missing := missing_for_preparation(study):
        return missing
    pairs = Pair.objects.filter(contrast__study=study)
    num_pairs = pairs.count()
    if num_pairs == 0:
        if study.preparation_error:
            return [f"Preparing failed: {study.preparation_error}"]
        if study.state == StudyState.PREPARING:
            return ["The images are being prepared: budgets are predicted first. Wait a little."]
        return ["The images are not prepared. Press “Prepare images”."]
    num_ready = pairs.ready().count()
    if num_ready >= study.main_trials:
        return []
    asks = (f"The study asks for {number_of(study.main_trials, 'trial')} per participant, but only "
            f"{number_of(num_ready, 'pair')} of {num_pairs} "
            f"{'is' if num_ready == 1 else 'are'} ready.")
    if num_pairs < study.main_trials:
        return [f"{asks} Add prompts, or lower “main trials” to {num_pairs} or fewer."]
    num_stopped = pairs.stopped().count()
    if num_pairs - num_stopped < study.main_trials:
        return [f"{asks} {number_of(num_stopped, 'pair')} "
                f"{'waits' if num_stopped == 1 else 'wait'} for an image that failed or was "
                "cancelled: try the failed images again, or lower “main trials”."]
    return [f"{asks} Wait for rendering, or lower “main trials”."]


def number_of(number: int, noun: str) -> str:
    """A number with its noun, as a sentence needs it."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
