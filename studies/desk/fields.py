"""An arm as two form fields: a rule in words, and a number where the rule is a fixed count."""

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from studies.method.arms import fixed_steps

FIXED = "fixed"
ARM_CHOICES = [
    ("budgeted", "budgeted: the steps predicted for each prompt"),
    ("reference", "reference: every step"),
    ("uniform", "uniform: one count for all, same total cost as budgeted"),
    (FIXED, "fixed: one number of steps, given below"),
]


class ArmWidget(forms.MultiWidget):
    def __init__(self) -> None:
        number = UnfoldAdminIntegerFieldWidget(
            attrs={"min": 1, "placeholder": "steps", "aria-label": "Number of steps, if fixed"}
        )
        super().__init__({"rule": UnfoldAdminSelectWidget(choices=ARM_CHOICES), "steps": number})

    def decompress(self, value: str | None) -> list[Any]:
        steps = fixed_steps(value) if value else None
        return [value, None] if steps is None else [FIXED, steps]


class ArmField(forms.MultiValueField):
    """Reads an arm's rule and number into the text the model keeps, such as ``fixed(12)``."""

    def __init__(self, **kwargs: Any) -> None:
        fields = (forms.ChoiceField(choices=ARM_CHOICES),
                  forms.IntegerField(required=False, min_value=1, max_value=9999))
        super().__init__(fields, widget=ArmWidget(), require_all_fields=False, **kwargs)

    def compress(self, data_list: list[Any]) -> str:
        rule, steps = data_list or ("", None)
        if rule == FIXED and steps is None:
            raise forms.ValidationError("A fixed arm needs its number of steps.")
        return f"fixed({steps})" if rule == FIXED else rule
