"""Measurements too long for every run of the tests: `python -m tests.bench.NAME --help`."""
