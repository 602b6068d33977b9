"""The standard texts of a study, for every one that its experimenter leaves blank."""

import math
from collections.abc import Mapping

# Our estimate for the default welcome text: looking, choosing and the blank between two trials.
SECONDS_PER_TRIAL = 6
READING_SECONDS = 60

WELCOME = """\
Thank you for your interest. In this study you look at pairs of images and choose one of each
pair. There are {num_trials} comparisons, and it takes about {num_minutes} minutes.

You need no special knowledge. Please sit comfortably, and take part in one go if you can. If you
must leave, the same link brings you back to where you were.
"""
CONSENT = """\
- Taking part is voluntary. You may stop at any time, without giving a reason, by closing the page.
- We store which image you choose each time, how long it takes, and technical details of the
  display such as the size of the window. We do not ask for your name.
- Your answers are used for research. They may be published in a form that does not identify you.
"""
INSTRUCTIONS = {
    "preference": """\
Two images appear side by side. Choose the one you prefer, by your own taste. There are no right
or wrong answers.
""",
    "similarity": """\
One image appears above two others. Choose, of the lower two, the one that is closer to the image
above. Sometimes the difference is small: then go by your impression.
""",
}
DEBRIEF = "Your answers are stored. Thank you for taking part."


def effective_texts(
    written: Mapping[str, str], *, task: str, num_trials: int
) -> dict[str, str]:
    """What participants read: the written texts, and the standard one in place of each blank.

    Parameters
    ----------
    written : mapping of str to str
        Markdown by name: `welcome`, `consent`, `instructions`, `debrief`.
    task : str
        `preference` or `similarity`; decides the standard instructions.
    num_trials : int
        Practice included; the standard welcome says how long it takes.
    """
    num_minutes = math.ceil((num_trials * SECONDS_PER_TRIAL + READING_SECONDS) / 60)
    standard = {
        "welcome": WELCOME.format(num_trials=num_trials, num_minutes=num_minutes),
        "consent": CONSENT,
        "instructions": INSTRUCTIONS[task],
        "debrief": DEBRIEF,
    }
    return {name: written[name].strip() or text for name, text in standard.items()}
