"""Django reads these names for the language of the site."""

DATE_FORMAT = "j F Y"
DATETIME_FORMAT = "j F Y, H:i e"
