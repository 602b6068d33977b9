"""Trial plans, side balance, screening rules, arms. Pure."""
