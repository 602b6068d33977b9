"""A study's texts: Markdown in, safe HTML out."""

import markdown
import nh3
from django.utils.safestring import SafeString, mark_safe

from studies.models import Study

# Images and inline styles are not for study texts: the first would load while a trial waits, and
# the content security policy refuses the second.
ALLOWED_TAGS = {
    "a", "abbr", "b", "blockquote", "br", "cite", "code", "del", "em", "h2", "h3", "h4", "h5",
    "h6", "hr", "i", "kbd", "li", "ol", "p", "s", "strong", "sub", "sup", "table", "tbody", "td",
    "th", "thead", "tr", "u", "ul",
}
ALLOWED_ATTRIBUTES = {"a": {"href", "title"}, "abbr": {"title"}, "ol": {"start"}}


def welcome(study: Study) -> SafeString:
    return render(study.texts()["welcome"])


def consent(study: Study) -> SafeString:
    return render(study.texts()["consent"])


def instructions(study: Study) -> SafeString:
    return render(study.texts()["instructions"])


def debrief(study: Study) -> SafeString:
    return render(study.texts()["debrief"])


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
