"""What an experimenter fills in."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from unfold.forms import PaginationInlineFormSet
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldBooleanSwitchWidget

from generation.budget.tokens import TokenCounter
from generation.models import Predictor
from studies.desk.fields import ArmField
from studies.desk.imports import MAX_FILE_BYTES, PromptList, read_prompts
from studies.desk.readiness import missing_for_launch
from studies.method.arms import fixed_steps
from studies.models import Contrast, Study, StudySession, Task

QUESTIONS = {
    Task.PREFERENCE: "Which image do you prefer?",
    Task.SIMILARITY: "Which image is closer to the one above?",
}
# In the grammar of generation/scenes/captions.py.
EXAMPLE = "a striped blue background, left a large dotted red circle, right a small white star"
SHOWN_REFUSALS = 200
_BLANK = "Leave it blank for the standard text."


class StudyForm(forms.ModelForm):
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
        fields = ("name", "task", "question", "welcome_text", "consent_text", "instructions_text",
                  "debrief_text", "model", "predictor", "practice_trials", "main_trials")
        help_texts = {
            "welcome_text": f"The landing page: what, who, how long, how paid. {_BLANK}",
            "consent_text": f"What participants agree to. {_BLANK}",
            "instructions_text": f"Shown before the first trial. {_BLANK}",
            "debrief_text": f"Shown at the end, with the completion code. {_BLANK}",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.prompt_list: PromptList | None = None

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        model, predictor = values.get("model"), values.get("predictor")
        if values.get("task") and values.get("question") in QUESTIONS.values():
            values["question"] = QUESTIONS[Task(values["task"])]
        if model and predictor and predictor.model_id != model.pk:
            self.add_error("predictor", f"“{predictor}” predicts for the model "
                                        f"“{predictor.model}”. Choose one made for “{model}”.")
        elif predictor:
            self._read_prompts(predictor, values.get("prompt_file"))
        return values

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


class ContrastForm(forms.ModelForm):
    candidate_arm = ArmField(label="Candidate", initial="budgeted")
    baseline_arm = ArmField(label="Compared with", initial="reference")

    class Meta:
        model = Contrast
        fields = ("candidate_arm", "baseline_arm")

    def has_changed(self) -> bool:
        # A new row that is left at its defaults is meant: it is the usual contrast.
        return not self.instance.pk or super().has_changed()

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        candidate, baseline = values.get("candidate_arm"), values.get("baseline_arm")
        if candidate and candidate == baseline:
            self.add_error("baseline_arm", "Both arms are the same, so there is nothing to "
                                           "compare. Choose another one.")
        return values


class ContrastFormSet(PaginationInlineFormSet):
    def clean(self) -> None:
        super().clean()
        # The database's rule has a column that no row of this form shows, so it is asked here.
        arms = [tuple(form.cleaned_data.get(name) for name in ("candidate_arm", "baseline_arm"))
                for form in self.forms if form.is_valid() and form not in self.deleted_forms]
        if len(set(arms)) < len(arms):
            raise forms.ValidationError("This comparison is there twice. Remove one of them.")
        # Only here is the study known: a row learns of it after its own cleaning.
        if self.instance.model_id:
            for form in self.forms:
                for name in ("candidate_arm", "baseline_arm"):
                    self._check_steps(form, name)

    def _check_steps(self, form: forms.ModelForm, name: str) -> None:
        arm = getattr(form, "cleaned_data", {}).get(name)
        steps, model = fixed_steps(arm) if arm else None, self.instance.model
        if steps and steps > model.reference_steps:
            form.add_error(name, f"The model “{model}” has {model.reference_steps} steps at most, "
                                 f"not {steps}.")


class SessionForm(forms.ModelForm):
    """A recruitment wave; opened at once unless the experimenter says otherwise."""

    is_opened_now = forms.BooleanField(
        required=False, initial=True, label="Open it now", widget=UnfoldBooleanSwitchWidget,
        help_text="The link works from then on, and the study's design can no longer change.",
    )

    class Meta:
        model = StudySession
        fields = ("study", "name", "quota")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        study = values.get("study")
        if study and values.get("is_opened_now"):
            for reason in missing_for_launch(study):
                self.add_error("is_opened_now", reason)
        return values
