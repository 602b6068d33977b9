"""From trials to responses to answers."""
