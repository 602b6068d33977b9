"""What a participant sends with a form."""

from django import forms


class ConsentForm(forms.Form):
    # Drawn when the page is shown, so that a double click or a repeated send takes one place.
    attempt = forms.UUIDField()
    agreed = forms.BooleanField(
        error_messages={"required": "Please tick the box if you agree. Otherwise close the page."}
    )
