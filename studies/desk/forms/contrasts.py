"""What is compared."""

from typing import Any

from django import forms
from unfold.forms import PaginationInlineFormSet

from studies.desk.fields import ArmField
from studies.method.arms import fixed_steps
from studies.models import Contrast


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
        self._refuse_repetition()
        # Only here is the study known: a row learns of it after its own cleaning.
        if self.instance.model_id:
            for form in self.forms:
                for name in ("candidate_arm", "baseline_arm"):
                    self._check_steps(form, name)

    def _refuse_repetition(self) -> None:
        seen = set()
        for form in self.forms:
            values = getattr(form, "cleaned_data", {})
            arms = (values.get("candidate_arm"), values.get("baseline_arm"))
            if values.get("DELETE") or not all(arms):
                continue
            if arms in seen:
                form.add_error("candidate_arm", "This comparison is there twice. Remove one of "
                                                "them.")
            seen.add(arms)

    def _check_steps(self, form: forms.ModelForm, name: str) -> None:
        arm = getattr(form, "cleaned_data", {}).get(name)
        steps, model = fixed_steps(arm) if arm else None, self.instance.model
        if steps and steps > model.reference_steps:
            form.add_error(name, f"The model “{model}” has {model.reference_steps} steps at most, "
                                 f"not {steps}.")
