"""The caption grammar: what a scene contains, and the sentence that says so.

A caption names the background, then each object with its place first:
``a striped blue background, left a large dotted red circle, right a small white star``.
The place precedes its object because a causal text encoder binds late words best.
"""

from dataclasses import dataclass, replace

import numpy as np

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
TEXTURES = ("plain", "striped", "dotted", "checkered")
SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
SIZES = ("small", "large", "huge")
# Objects share the canvas, so how many there are decides which places are open to them.
PLACES_BY_COUNT = {
    0: ((),),
    1: (("centre",),),
    2: (("left", "right"), ("top", "bottom")),
    3: (
        ("top left", "top right", "bottom left"),
        ("top left", "top right", "bottom right"),
        ("top left", "bottom left", "bottom right"),
        ("top right", "bottom left", "bottom right"),
    ),
    4: (("top left", "top right", "bottom left", "bottom right"),),
}
MAX_OBJECTS = max(PLACES_BY_COUNT)
WORDS = sorted(
    {"a", "background", ",", *COLOURS, *TEXTURES[1:], *SHAPES, *SIZES}
    | {word for layouts in PLACES_BY_COUNT.values() for layout in layouts
       for place in layout for word in place.split()}
)


@dataclass(frozen=True)
class Thing:
    """One object of a scene."""

    place: str
    size: str
    texture: str
    colour: str
    shape: str

    def phrase(self) -> str:
        return f"{self.place} a {_adjectives(self.size, self.texture, self.colour)} {self.shape}"


@dataclass(frozen=True)
class Scene:
    """A background and zero to four objects on it."""

    colour: str
    texture: str
    things: tuple[Thing, ...] = ()

    def caption(self) -> str:
        background = f"a {_adjectives(self.texture, self.colour)} background"
        return ", ".join([background, *(thing.phrase() for thing in self.things)])


def random_scene(rng: np.random.Generator, *, num_things: int | None = None) -> Scene:
    """Draw a scene; every object's colour differs from the background's.

    Parameters
    ----------
    rng : numpy.random.Generator
    num_things : int, optional
        0 to 4 objects; drawn, with busier scenes likelier, when omitted.
    """
    if num_things is None:
        num_things = int(rng.choice(MAX_OBJECTS + 1, p=(0.05, 0.25, 0.3, 0.2, 0.2)))
    if num_things not in PLACES_BY_COUNT:
        raise ValueError(f"expected 0 to {MAX_OBJECTS} objects, got {num_things}")
    layouts = PLACES_BY_COUNT[num_things]
    layout = layouts[rng.integers(len(layouts))]
    background = _pick(rng, COLOURS)
    texture = _pick(rng, TEXTURES) if rng.random() < 0.5 else "plain"
    return Scene(background, texture, tuple(_random_thing(rng, p, background, num_things)
                                            for p in layout))


def sibling(scene: Scene, rng: np.random.Generator) -> Scene:
    """Return the scene with one attribute changed or two objects swapped.

    Siblings are the hard negatives of the contrastive training: captions that share nearly all
    words can only be told apart by which word belongs to which object.
    """
    things = list(scene.things)
    if len(things) >= 2 and rng.random() < 0.5:
        first, second = rng.choice(len(things), 2, replace=False)
        swapped = replace(things[second], place=things[first].place)
        things[second] = replace(things[first], place=things[second].place)
        things[first] = swapped
        if tuple(things) != scene.things:
            return replace(scene, things=tuple(things))
    if not things:
        return replace(scene, colour=_pick_other(rng, COLOURS, {scene.colour}))
    index = int(rng.integers(len(things)))
    thing = things[index]
    changeable = ("shape", "colour") if thing.size == "small" else ("shape", "colour", "texture")
    attribute = _pick(rng, changeable)
    choices, avoid = {
        "shape": (SHAPES, {thing.shape}),
        "colour": (COLOURS, {thing.colour, scene.colour}),
        "texture": (TEXTURES, {thing.texture}),
    }[attribute]
    things[index] = replace(thing, **{attribute: _pick_other(rng, choices, avoid)})
    return replace(scene, things=tuple(things))


def _random_thing(rng: np.random.Generator, place: str, background: str, count: int) -> Thing:
    sizes = SIZES[1:] if count == 1 else SIZES[:2]
    size = _pick(rng, sizes)
    # A small object has no room for a texture that a 16 x 16 latent could carry.
    is_textured = size != "small" and rng.random() < 0.7
    return Thing(
        place=place,
        size=size,
        texture=_pick(rng, TEXTURES) if is_textured else "plain",
        colour=_pick_other(rng, COLOURS, {background}),
        shape=_pick(rng, SHAPES),
    )


def _adjectives(*words: str) -> str:
    return " ".join(word for word in words if word != "plain")


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[rng.integers(len(choices))]


def _pick_other(rng: np.random.Generator, choices: tuple[str, ...], avoid: set[str]) -> str:
    return _pick(rng, tuple(choice for choice in choices if choice not in avoid))
