"""The model's own rules, said beside the field that breaks them."""

from copy import copy
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import CheckConstraint


class RuledForm(forms.ModelForm):
    """A form whose model's constraints speak at a field, rather than above the whole form."""

    def add_error(self, field: str | None, error: Any) -> None:
        if isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            error = ValidationError(self._at_their_fields(error.error_dict))
        super().add_error(field, error)

    def _at_their_fields(self, errors: dict[str, list[ValidationError]]) -> dict[str, list[Any]]:
        placed: dict[str, list[Any]] = {}
        for name, found in errors.items():
            for each in found:
                place = self._field_of(each) if name == NON_FIELD_ERRORS else name
                placed.setdefault(place, []).append(each)
        return placed

    def _field_of(self, error: ValidationError) -> str:
        """The field to mend: put back as it was, it would keep the rule that is broken."""
        for rule in self.instance._meta.constraints:
            if (isinstance(rule, CheckConstraint)
                    and rule.get_violation_error_message() == error.message):
                condition: Any = rule.condition
                names = [name for name in self.fields if name in condition.referenced_base_fields]
                return next((name for name in names if self._would_mend(name, rule)),
                            (names or [NON_FIELD_ERRORS])[0])
        return NON_FIELD_ERRORS

    def _would_mend(self, name: str, rule: CheckConstraint) -> bool:
        earlier = copy(self.instance)
        setattr(earlier, name, self.initial.get(name, self.fields[name].initial))
        try:
            rule.validate(type(earlier), earlier)
        except ValidationError:
            return False
        return True
