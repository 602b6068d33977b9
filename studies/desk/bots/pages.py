"""What a page of the participant's way asks for next, read from its markup alone.

The one element marked `data-next` is the way on: a link to follow, or a form to fill and send. On
a page without the mark it is the first form that posts, or else the first link made a button.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser

Attributes = dict[str, str]
Fields = list[tuple[str, str]]

LIKELY_NUMBER = 30.0
SHORT_TEXT = "no remarks"
# A hidden field that a script fills in, by a word in its name.
MEASURED = {"width": "1280", "height": "800", "ratio": "1", "zoom": "100", "frame": "16.7",
            "touch": "0"}
WRITTEN = {"date": "2026-01-15", "email": "bot@example.org", "url": "https://example.org/",
           "tel": "0", "time": "12:00", "color": "#777777"}


@dataclass
class Control:
    """One field of a form, as its markup has it."""

    tag: str
    attributes: Attributes
    options: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.attributes.get("name", "")

    @property
    def kind(self) -> str:
        default = "submit" if self.tag == "button" else "text"
        kind = self.attributes.get("type", default) if self.tag in ("input", "button") else self.tag
        return kind.lower()


@dataclass
class Form:
    """A form that can be sent."""

    attributes: Attributes
    controls: list[Control] = field(default_factory=list)

    @property
    def action(self) -> str:
        return self.attributes.get("action", "")

    def filled(self) -> Fields:
        """What a visitor who takes the first of everything would send."""
        values: Fields = []
        known: set[str] = set()
        for control in self.controls:
            is_once = control.kind in ("radio", "submit")
            key = "its button" if control.kind == "submit" else control.name
            if "disabled" in control.attributes or (is_once and key in known):
                continue
            known.add(key)
            if control.name and control.kind not in ("button", "reset", "file", "image"):
                values.append((control.name, value_for(control)))
        return values


@dataclass
class Page:
    """What a bot sees of a page."""

    link: str | None = None
    form: Form | None = None
    trials: Attributes | None = None
    code: str = ""
    assets: list[str] = field(default_factory=list)


def read_page(html: str) -> Page:
    reader = _Reader()
    reader.feed(html)
    return reader.page()


def value_for(control: Control) -> str:
    """A value that the control's own attributes allow."""
    given = control.attributes.get("value", "")
    if control.kind == "hidden":
        return given or _measured(control.name)
    if control.kind in ("checkbox", "radio"):
        return control.attributes.get("value", "on")
    if control.kind == "select":
        return next((option for option in control.options if option), "")
    if control.kind in ("number", "range") or "data-number" in control.attributes:
        return given or _number(control.attributes)
    if control.kind == "submit":
        return given
    text = given or WRITTEN.get(control.kind, SHORT_TEXT)
    return text[:int(control.attributes.get("maxlength") or len(text))]


def _measured(name: str) -> str:
    return next((value for word, value in MEASURED.items() if word in name.lower()), "")


def _number(attributes: Attributes) -> str:
    low = float(attributes.get("min") or attributes.get("data-min") or "-inf")
    high = float(attributes.get("max") or attributes.get("data-max") or "inf")
    return f"{min(max(LIKELY_NUMBER, low), high):g}"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self._links: list[Attributes] = []
        self._forms: list[Form] = []
        self._is_in_form = False
        self._is_in_output = False
        self._page = Page()

    def page(self) -> Page:
        """The way on, among what was read."""
        marked_forms = [form for form in self._forms if "data-next" in form.attributes]
        marked_links = [link for link in self._links if "data-next" in link]
        posting = [form for form in self._forms
                   if form.attributes.get("method", "").lower() == "post"]
        buttons = [link for link in self._links if "button" in link.get("class", "").split()]
        if marked_links and not marked_forms:
            self._page.link = marked_links[0].get("href")
        elif marked_forms or posting:
            self._page.form = (marked_forms or posting)[0]
        elif buttons:
            self._page.link = buttons[0].get("href")
        self._page.code = self._page.code.strip()
        return self._page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if "data-trials" in attributes:
            self._page.trials = attributes
        if tag == "form":
            self._forms.append(Form(attributes))
            self._is_in_form = True
        elif tag == "a":
            self._links.append(attributes)
        elif tag == "output":
            self._is_in_output = True
        elif tag in ("input", "button", "select", "textarea"):
            self._add(Control(tag, attributes))
        elif tag == "option" and self._is_in_form and self._forms[-1].controls:
            self._forms[-1].controls[-1].options.append(attributes.get("value", ""))
        elif tag == "script" and "src" in attributes:
            self._page.assets.append(attributes["src"])
        elif tag == "link" and attributes.get("rel") == "stylesheet":
            self._page.assets.append(attributes.get("href", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_in_form = False
        elif tag == "output":
            self._is_in_output = False

    def handle_data(self, data: str) -> None:
        if self._is_in_output:
            self._page.code += data

    def _add(self, control: Control) -> None:
        """Into the form that it stands in, or the one that it names."""
        named = control.attributes.get("form")
        for form in reversed(self._forms):
            if (form.attributes.get("id") == named) if named else self._is_in_form:
                form.controls.append(control)
                return
