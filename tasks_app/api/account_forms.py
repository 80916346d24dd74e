"""What the pages of accounts ask for, beside Django's own forms for passwords."""

from django import forms


class AddressForm(forms.Form):
    """An address, whosever it is."""

    email = forms.EmailField(
        label="Mail address", max_length=254, widget=forms.EmailInput({"autocomplete": "email"})
    )
