"""From a prompt to a budget to an image. Knows nothing of studies."""
