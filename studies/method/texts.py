"""The texts of a study: what its experimenter wrote, and the standard text for each blank."""

import math
from collections.abc import Mapping

from studies.method.standard_texts import STANDARD_TEXTS

# Our estimate for the default welcome text: looking, choosing and the blank between two trials.
SECONDS_PER_TRIAL = 6
READING_SECONDS = 60


def is_standard_question(question: str) -> bool:
    """Whether it asks what the task asks anyway, in whichever language; a blank does."""
    return not question.strip() or any(
        question.strip() in texts.question.values() for texts in STANDARD_TEXTS.values()
    )


def effective_texts(
    written: Mapping[str, str], *, task: str, num_trials: int, language: str = "en"
) -> dict[str, str]:
    """What participants read: the written texts, and the standard one in place of each blank.

    Parameters
    ----------
    written : mapping of str to str
        Markdown by name: `welcome`, `consent`, `instructions`, `debrief`; plain: `question`. What
        it lacks is blank.
    task : str
        `preference` or `similarity`; decides the standard question and instructions.
    num_trials : int
        Practice included; the standard welcome says how long it takes.
    language : str
        Of the standard texts: one of the keys of `STANDARD_TEXTS`.
    """
    num_minutes = math.ceil((num_trials * SECONDS_PER_TRIAL + READING_SECONDS) / 60)
    texts = STANDARD_TEXTS[language]
    standard = {
        "question": texts.question[task],
        "welcome": texts.welcome.format(num_trials=num_trials, num_minutes=num_minutes),
        "consent": texts.consent,
        "instructions": texts.instructions[task],
        "debrief": texts.debrief,
    }
    return {name: written.get(name, "").strip() or text for name, text in standard.items()}
