"""For participants: the way from landing to completion, and stimuli."""
