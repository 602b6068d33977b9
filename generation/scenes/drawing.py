"""Draw a scene as a 128 x 128 RGB image, with edges one pixel wide.

Shapes are signed distances in pixels (negative inside), so a mask is the distance clipped to one
pixel: sharp and anti-aliased without supersampling.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from generation.scenes.captions import Scene, Thing

IMAGE_SIZE = 128
Array = NDArray[np.float64]

PALETTE = {
    "red": (212, 48, 52),
    "orange": (240, 138, 36),
    "yellow": (246, 212, 64),
    "green": (52, 156, 84),
    "blue": (44, 98, 208),
    "purple": (134, 66, 176),
    "white": (244, 244, 240),
    "black": (34, 34, 40),
}
CENTRES = {
    "centre": (64, 64), "left": (33, 64), "right": (95, 64), "top": (64, 33), "bottom": (64, 95),
    "top left": (33, 33), "top right": (95, 33), "bottom left": (33, 95), "bottom right": (95, 95),
}  # (x, y) in pixels
RADII = {"small": 16.0, "large": 27.0, "huge": 46.0}
_YS, _XS = np.mgrid[:IMAGE_SIZE, :IMAGE_SIZE] + 0.5


def draw(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw `scene`; `rng` moves and scales each object slightly.

    Returns
    -------
    ndarray of uint8, shape (128, 128, 3)
        sRGB.
    """
    canvas = _fill(scene.colour, scene.texture, _XS, _YS, period=16.0, contrast=0.28)
    for thing in scene.things:
        canvas = _draw_thing(canvas, thing, rng)
    return np.rint(canvas).clip(0, 255).astype(np.uint8)


def _draw_thing(canvas: Array, thing: Thing, rng: np.random.Generator) -> Array:
    centre_x, centre_y = CENTRES[thing.place] + rng.uniform(-2.5, 2.5, 2)
    radius = RADII[thing.size] * rng.uniform(0.94, 1.06)
    xs, ys = _XS - centre_x, _YS - centre_y
    coverage = _cover(DISTANCES[thing.shape](xs, ys, radius))[..., None]
    paint = _fill(thing.colour, thing.texture, xs, ys, period=14.0, contrast=0.55)
    return canvas * (1 - coverage) + paint * coverage


def _fill(
    colour: str, texture: str, xs: Array, ys: Array, *, period: float, contrast: float
) -> Array:
    """Paint every pixel in `colour`, with the texture's marks in a lighter or darker tone."""
    base = np.array(PALETTE[colour], dtype=float)
    is_light = base @ (0.299, 0.587, 0.114) > 120
    tone = base * (1 - contrast) + (0.0 if is_light else 255.0) * contrast
    marks = TEXTURE_MARKS[texture](xs, ys, period)[..., None]
    return base * (1 - marks) + tone * marks  # (H, W, 3)


def _cover(distance: Array) -> Array:
    """Turn a signed distance in pixels into coverage, 0 outside and 1 inside."""
    return np.clip(0.5 - distance, 0, 1)


def _wave(position: Array, period: float) -> Array:
    """Signed distance in pixels to stripes half a period wide, centred on multiples of it."""
    return np.abs((position / period + 0.5) % 1 - 0.5) * period - period / 4


def _checks(xs: Array, ys: Array, period: float) -> Array:
    across, down = _cover(_wave(xs, period)), _cover(_wave(ys, period))
    return across * (1 - down) + down * (1 - across)


def _dots(xs: Array, ys: Array, period: float) -> Array:
    nearest_x = ((xs / period + 0.5) % 1 - 0.5) * period
    nearest_y = ((ys / period + 0.5) % 1 - 0.5) * period
    return _cover(np.hypot(nearest_x, nearest_y) - period * 0.29)


def _box(xs: Array, ys: Array, half_width: float, half_height: float) -> Array:
    return np.maximum(np.abs(xs) - half_width, np.abs(ys) - half_height)


def _triangle(xs: Array, ys: Array, radius: float) -> Array:
    base = ys - 0.62 * radius
    flank = (np.abs(xs) * 0.8944 - ys * 0.4472) - 0.4472 * radius
    return np.maximum(base, flank)


def _star(xs: Array, ys: Array, radius: float) -> Array:
    """Five points: the distance to the edge between a tip and the next notch, by symmetry."""
    wedge = np.pi / 5
    angle = np.abs((np.arctan2(xs, -ys) + wedge) % (2 * wedge) - wedge)
    length = np.hypot(xs, ys)
    tip = np.array([radius, 0.0])
    notch = 0.45 * radius * np.array([np.cos(wedge), np.sin(wedge)])
    edge = notch - tip
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    return (length * np.cos(angle) - tip[0]) * normal[0] + length * np.sin(angle) * normal[1]


DISTANCES: dict[str, Callable[[Array, Array, float], Array]] = {
    "circle": lambda xs, ys, r: np.hypot(xs, ys) - r,
    "square": lambda xs, ys, r: _box(xs, ys, 0.86 * r, 0.86 * r),
    "triangle": _triangle,
    "star": _star,
    "ring": lambda xs, ys, r: np.abs(np.hypot(xs, ys) - 0.72 * r) - 0.27 * r,
    "cross": lambda xs, ys, r: np.minimum(_box(xs, ys, r, 0.34 * r), _box(xs, ys, 0.34 * r, r)),
}
TEXTURE_MARKS: dict[str, Callable[[Array, Array, float], Array]] = {
    "plain": lambda xs, ys, period: np.zeros_like(xs),
    "striped": lambda xs, ys, period: _cover(_wave(xs, period)),
    "dotted": _dots,
    "checkered": lambda xs, ys, period: _checks(xs, ys, 1.25 * period),
}
