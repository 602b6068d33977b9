"""The embedded text-to-image model: captions, drawing, training, weights."""
