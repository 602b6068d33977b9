"""Simulated participants, who take part over HTTP as a browser does."""
