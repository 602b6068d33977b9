"""Samplers that paint at once, for tests of what becomes of their images."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from PIL import Image

from generation.diffusion.recipes import Recipe
from generation.diffusion.samples import Sampled, SamplingError, Unwanted
from generation.models import Render

Outcomes = Iterator[tuple[int, Sampled | SamplingError]]


def paint(recipe: Recipe) -> Sampled:
    image = Image.new("RGB", (recipe.width, recipe.height), (recipe.num_steps, 20, 30))
    image.info = {"icc_profile": b"a profile", "exif": b"a camera"}
    return Sampled(image, 2 * recipe.num_steps, 0.25, provenance={"device": "easel"})


def paint_all(recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
    for index, recipe in enumerate(recipes):
        if index not in unwanted([index]):
            yield index, paint(recipe)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


class Easel:
    """Samples with two slots, one step at a time, and remembers what each call held together."""

    def __init__(self, *, at_step: Callable[[int], object] = lambda _step: None) -> None:
        self.calls: list[list[int]] = []
        self.dropped: list[int] = []
        self._at_step = at_step
        self._step = 0

    def __call__(self, recipes: Iterable[Recipe], *, unwanted: Unwanted) -> Outcomes:
        waiting, slots = enumerate(recipes), dict[int, tuple[Recipe, int]]()
        self.calls.append([])
        while slots.update(self._refill(waiting, 2 - len(slots))) or slots:
            self._step += 1
            self._at_step(self._step)
            for index in unwanted(list(slots)):
                self.dropped.append(slots.pop(index)[0].num_steps)
            slots = {index: (recipe, left - 1) for index, (recipe, left) in slots.items()}
            for index in [index for index, (_, left) in slots.items() if left == 0]:
                yield index, paint(slots.pop(index)[0])

    def _refill(
        self, waiting: Iterator[tuple[int, Recipe]], room: int
    ) -> dict[int, tuple[Recipe, int]]:
        taken = dict(itertools.islice(waiting, room))
        self.calls[-1] += [recipe.num_steps for recipe in taken.values()]
        return {index: (recipe, recipe.num_steps) for index, recipe in taken.items()}


def states() -> dict[int, str]:
    return dict(Render.objects.values_list("num_steps", "state"))
