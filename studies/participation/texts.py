"""The study's own texts: Markdown in, safe HTML out, and sensible ones where a study has none."""

import math

import markdown
import nh3
from django.utils.safestring import SafeString, mark_safe

from studies.models import Study, Task

# Our estimate for the default welcome text: looking, choosing and the blank between two trials.
SECONDS_PER_TRIAL = 6
READING_SECONDS = 60
# Images and inline styles are not for study texts: the first would load while a trial waits, and
# the content security policy refuses the second.
ALLOWED_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "cite", "code", "del", "em", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "kbd", "li", "ol", "p", "s", "strong", "sub", "sup", "table", "tbody", "td",
    "th", "thead", "tr", "u", "ul",
}
ALLOWED_ATTRIBUTES = {"a": {"href", "title"}, "abbr": {"title"}, "ol": {"start"}}

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
    Task.PREFERENCE: """\
Two images appear side by side. Choose the one you prefer, by your own taste. There are no right
or wrong answers.
""",
    Task.SIMILARITY: """\
One image appears above two others. Choose, of the lower two, the one that is closer to the image
above. Sometimes the difference is small: then go by your impression.
""",
}
DEBRIEF = "Your answers are stored. Thank you for taking part."


def welcome(study: Study) -> SafeString:
    num_trials = study.practice_trials + study.main_trials
    num_minutes = math.ceil((num_trials * SECONDS_PER_TRIAL + READING_SECONDS) / 60)
    text = WELCOME.format(num_trials=num_trials, num_minutes=num_minutes)
    return render(study.welcome_text.strip() or text)


def consent(study: Study) -> SafeString:
    return render(study.consent_text.strip() or CONSENT)


def instructions(study: Study) -> SafeString:
    return render(study.instructions_text.strip() or INSTRUCTIONS[Task(study.task)])


def debrief(study: Study) -> SafeString:
    return render(study.debrief_text.strip() or DEBRIEF)


def render(text: str) -> SafeString:
    """Turn Markdown into HTML that holds nothing active, with headings below the page's own."""
    html = markdown.markdown(
        text,
        extensions=["tables", "sane_lists", "toc"],
        extension_configs={"toc": {"baselevel": 2}},
        output_format="html",
    )
    clean = nh3.clean(
        html,
        tags=ALLOWED_TAGS,
        attributes=ALLOWED_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return mark_safe(clean)
