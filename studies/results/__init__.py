"""For analysts: the long table, the export, the results page."""
