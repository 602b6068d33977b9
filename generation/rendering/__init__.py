"""Requesting, leasing and draining renders, and what they cost."""
