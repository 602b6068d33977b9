"""The scenes that the model is trained on, drawn once and kept in two flat files."""

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from generation.scenes.captions import Scene, random_scene, sibling
from generation.scenes.drawing import IMAGE_SIZE, draw

_CHUNK = 500


@dataclass(frozen=True)
class Corpus:
    """Scenes in siblings: image 2k and 2k + 1 differ in one attribute or in a swap.

    Attributes
    ----------
    images : ndarray of uint8, shape (N, 128, 128, 3)
    captions : list of str, length N
    """

    images: NDArray[np.uint8]
    captions: list[str]


def draw_corpus(folder: Path, *, num_scenes: int, seed: int) -> Corpus:
    """Draw `num_scenes` (even) scenes into `folder`, or open those drawn there before."""
    captions_file, images_file = folder / "captions.json", folder / "images.npy"
    if not captions_file.exists():  # Written last, so it vouches for the images.
        chunks = _chunk_sizes(num_scenes)
        images = np.lib.format.open_memmap(
            images_file, "w+", np.uint8, (num_scenes, IMAGE_SIZE, IMAGE_SIZE, 3)
        )
        captions: list[str] = []
        with ProcessPoolExecutor() as pool:
            seeds = [(seed, index) for index in range(len(chunks))]
            for drawn, said in pool.map(_draw_chunk, chunks, seeds):
                images[len(captions):len(captions) + len(said)] = drawn
                captions += said
        images.flush()
        captions_file.write_text(json.dumps(captions))
    return Corpus(np.load(images_file, mmap_mode="r"), json.loads(captions_file.read_text()))


@cache
def corpus_captions(num_scenes: int, *, seed: int) -> frozenset[str]:
    """What the scenes of `draw_corpus` say, without drawing them."""
    return frozenset(scene.caption() for index, count in enumerate(_chunk_sizes(num_scenes))
                     for scene in _chunk_scenes(count, np.random.default_rng((seed, index))))


def _chunk_sizes(num_scenes: int) -> list[int]:
    return [min(_CHUNK, num_scenes - start) for start in range(0, num_scenes, _CHUNK)]


def _chunk_scenes(count: int, rng: np.random.Generator) -> list[Scene]:
    scenes: list[Scene] = []
    while len(scenes) < count:
        scene = random_scene(rng)
        scenes += [scene, sibling(scene, rng)]
    return scenes[:count]


def _draw_chunk(count: int, seed: tuple[int, int]) -> tuple[NDArray[np.uint8], list[str]]:
    rng = np.random.default_rng(seed)
    scenes = _chunk_scenes(count, rng)
    return np.stack([draw(scene, rng) for scene in scenes]), [scene.caption() for scene in scenes]
