"""Rates, intervals, tests, figures. Pure numpy, scipy, matplotlib."""
