"""The design of a study."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from unfold.widgets import UnfoldAdminFileFieldWidget

from generation.budget.tokens import TokenCounter
from generation.models import DiffusionModel, Predictor
from studies.desk.forms.rules import RuledForm
from studies.desk.imports import MAX_FILE_BYTES, PromptList, read_prompts
from studies.desk.readiness import CATCH_PERCENT, CATCH_STEPS
from studies.desk.widgets import GreyWidget, markdown_widgets, number
from studies.method.standard_texts import STANDARD_TEXTS
from studies.method.texts import is_standard_question
from studies.models import Language, QuestionTranslation, Study
from studies.models.designs import (
    MOST_BLANK_MS,
    MOST_EXTRA_PERCENT,
    MOST_MAIN_TRIALS,
    MOST_PRACTICE_TRIALS,
    MOST_VIEWING_MS,
)

# In the grammar of generation/scenes/captions.py.
EXAMPLE = "a striped blue background, left a large dotted red circle, right a small white star"
SHOWN_REFUSALS = 200
_BLANK = "Leave it blank for the standard text."


class StudyForm(RuledForm):
    """The design of a study, with the file that its prompts come from."""

    prompt_file = forms.FileField(
        required=False,
        label="Prompt file",
        widget=UnfoldAdminFileFieldWidget,
        help_text="Plain text with one prompt on each line, or a .csv with a column “prompt” and, "
        "if you like, “category”. UTF-8. A new file replaces the list that is there. The embedded "
        f"model knows only scenes in this wording: “{EXAMPLE}”.",
    )

    class Meta:
        model = Study
        fields = (
            "name", "task", "language", "question", "model", "predictor",
            "main_trials", "practice_trials", "catch_percent", "catch_steps", "repeat_percent",
            "trials_per_block", "blank_ms", "min_viewing_ms", "viewing_limit_ms",
            "surround_grey", "image_scale", "has_landing", "has_consent", "has_screen_check",
            "min_window_px", "are_phones_allowed", "has_instructions", "has_debrief",
            "welcome_text", "consent_text", "instructions_text", "debrief_text",
        )
        labels = {
            "catch_percent": CATCH_PERCENT,
            "catch_steps": CATCH_STEPS,
            "repeat_percent": "Repeats (% of main)",
            "blank_ms": "Blank interval (ms)",
            "min_viewing_ms": "Minimum viewing time (ms)",
            "viewing_limit_ms": "Viewing limit (ms)",
            "surround_grey": "Surround (level of grey)",
            "min_window_px": "Narrowest window (px)",
            "welcome_text": "Landing page",
            "consent_text": "Consent",
            "instructions_text": "Instructions",
            "debrief_text": "Debrief",
        }
        help_texts = {
            "name": "For you and your data; participants never read it.",
            "language": "Of the question and the texts below. Add others under “Translations”.",
            "question": "Asked with each pair of images.",
            "main_trials": "For each participant. A prompt appears at most once per comparison.",
            "practice_trials": "First, with feedback. Never analysed.",
            "catch_percent": "In a catch trial one image has far too few steps: who still chooses "
            "it was not looking. 0 for none.",
            "catch_steps": "In catch trials only.",
            "repeat_percent": "So many are shown once more with the sides swapped, to see who "
            "answers alike. 0 for none.",
            "trials_per_block": "A break is offered after so many. 0 for no breaks.",
            "blank_ms": "The empty surround, before each pair of images.",
            "min_viewing_ms": "No answer is taken before. 0: as soon as the images are shown.",
            "viewing_limit_ms": "The images disappear after it; the answer may still be given. "
            "Blank for no limit.",
            "surround_grey": "0 is black, 255 is white. The grey is neutral, as ITU-R BT.500 "
            "advises.",
            "image_scale": "Screen pixels for each pixel of an image, such as 1 or 2. Blank: as "
            "large as the window allows.",
            "has_landing": "What, who, how long, how paid.",
            "has_consent": "Agreement is asked for, and stored with its time and its text. "
            "Switch it off only where it is given elsewhere.",
            "has_screen_check": "Whether the images can be shown in the participant's window.",
            "min_window_px": "In CSS pixels. Who has less is asked to enlarge the window.",
            "are_phones_allowed": "Otherwise people are asked to come by a larger device.",
            "has_instructions": "With an example of a trial and the keys.",
            "has_debrief": "The completion code is shown in any case.",
            "welcome_text": _BLANK, "consent_text": _BLANK, "instructions_text": _BLANK,
            "debrief_text": f"Shown with the completion code. {_BLANK}",
        }
        widgets = {
            "main_trials": number(min=1, max=MOST_MAIN_TRIALS),
            "practice_trials": number(min=0, max=MOST_PRACTICE_TRIALS),
            "catch_percent": number(min=0, max=MOST_EXTRA_PERCENT),
            "catch_steps": number(min=1),
            "repeat_percent": number(min=0, max=MOST_EXTRA_PERCENT),
            "blank_ms": number(min=0, max=MOST_BLANK_MS, step=50),
            "min_viewing_ms": number(min=0, max=MOST_BLANK_MS, step=50),
            "viewing_limit_ms": number(min=100, max=MOST_VIEWING_MS, step=50),
            "surround_grey": GreyWidget(),
            "image_scale": number(min=0.1, max=16, step="any"),
            **markdown_widgets(),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prompt_list: PromptList | None = None

    def clean_language(self) -> str:
        language: str = self.cleaned_data["language"]
        if self.instance.pk and QuestionTranslation.objects.filter(
            question__study=self.instance, language=language
        ).exists():
            raise forms.ValidationError(
                f"A question is translated into {Language(language).label}. Remove that "
                "translation first."
            )
        return language

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        model, predictor = values.get("model"), values.get("predictor")
        task, language = values.get("task"), values.get("language")
        if task and language and is_standard_question(values.get("question", "")):
            values["question"] = STANDARD_TEXTS[language].question[task]
        if model:
            self._check_catch_steps(model, values)
        if model and predictor and predictor.model_id != model.pk:
            self.add_error("predictor", f"“{predictor}” predicts for the model "
                                        f"“{predictor.model}”. Choose one made for “{model}”.")
        elif predictor:
            self._read_prompts(predictor, values.get("prompt_file"))
        return values

    def _check_catch_steps(self, model: DiffusionModel, values: dict[str, Any]) -> None:
        steps = values.get("catch_steps") or 0
        if values.get("catch_percent") and steps >= model.reference_steps:
            self.add_error("catch_steps", f"The model “{model}” has {model.reference_steps} steps, "
                                          "so this image would not be bad. Choose fewer.")

    def _read_prompts(self, predictor: Predictor, upload: UploadedFile | None) -> None:
        try:
            if upload is not None:
                self.prompt_list = _read(upload, predictor)
            elif self.instance.pk and "predictor" in self.changed_data:
                self._check_length(predictor)
        except ValueError as error:
            self.add_error("prompt_file", str(error))
            return
        refusals = self.prompt_list.refusals() if self.prompt_list else []
        for refusal in refusals[:SHOWN_REFUSALS]:
            self.add_error("prompt_file", refusal)
        if len(refusals) > SHOWN_REFUSALS:
            self.add_error("prompt_file", f"… and {len(refusals) - SHOWN_REFUSALS} more rows.")

    def _check_length(self, predictor: Predictor) -> None:
        """Another predictor may read shorter prompts than the one the list was read for."""
        counter = TokenCounter.from_folder(predictor.folder())
        texts = list(self.instance.study_prompts.values_list("prompt__text", flat=True))
        for text, num_tokens in zip(texts, counter.count(texts), strict=True):
            if num_tokens > counter.max_tokens:
                raise ValueError(f"“{predictor}” reads at most {counter.max_tokens} tokens, and "
                                 f"“{text}” has {num_tokens}: upload a shortened list")


def _read(upload: UploadedFile, predictor: Predictor) -> PromptList:
    # One byte past the limit is enough to be refused, and memory stays bounded.
    data = upload.read(MAX_FILE_BYTES + 1)
    return read_prompts(data, upload.name or "the file",
                        TokenCounter.from_folder(predictor.folder()))
