"""What a study still needs before a session of it may open."""

from studies.models import Pair, Study


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
        return ["The images are not prepared. Press “Prepare images”."]
    num_ready = pairs.ready().count()
    if num_ready >= study.main_trials:
        return []
    asks = (f"The study asks for {_counted(study.main_trials, 'trial')} per participant, but only "
            f"{_counted(num_ready, 'pair')} of {num_pairs} "
            f"{'is' if num_ready == 1 else 'are'} ready.")
    if num_pairs < study.main_trials:
        return [f"{asks} Add prompts, or lower “main trials” to {num_pairs} or fewer."]
    return [f"{asks} Wait for rendering, or lower “main trials”."]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
