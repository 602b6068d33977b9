"""How dates are shown: one way everywhere, with their time zone."""
