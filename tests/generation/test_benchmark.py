"""That the benchmark measures what it says; how fast things are is not for a test to judge."""

import io
import json

import numpy as np
import pytest
from django.core.management import call_command

from generation.diffusion.benchmark import (
    Timing,
    largest_difference,
    linearity,
    time_bucketed,
    time_engine,
    time_naive,
)
from tests.generation.pipelines import make_pipeline, make_recipe

WORKLOAD = [make_recipe(seed=steps, num_steps=steps, prompt="a red circle") for steps in (5, 2, 5)]


def test_three_ways_make_the_same_images_at_the_same_cost() -> None:
    pipeline = make_pipeline(scheduler="ddim")
    naive = time_naive(pipeline, WORKLOAD)
    bucketed = time_bucketed(pipeline, WORKLOAD, batch_size=2)
    engine = time_engine(pipeline, WORKLOAD, num_slots=2)
    assert largest_difference(naive, bucketed) <= 1
    assert largest_difference(naive, engine) <= 1
    for timing in (naive, bucketed, engine):
        assert sorted(timing.images) == [0, 1, 2]
        assert timing.unet_evaluations == 2 * (5 + 2 + 5)
        assert 0 < timing.unet_seconds < timing.seconds
        assert timing.peak_mb > 50


def test_difference_is_found_and_other_images_are_refused() -> None:
    black, grey = (Timing(images={0: np.full((2, 2, 3), level, np.uint8)}) for level in (0, 200))
    assert largest_difference(black, grey) == 200
    with pytest.raises(ValueError, match="1 images against 0"):
        largest_difference(black, Timing())


def test_linearity_of_a_line_is_one() -> None:
    assert linearity([1, 2, 3], [5.0, 7.0, 9.0]) == pytest.approx(1)
    assert linearity([1, 2, 3], [5.0, 5.0, 1.0]) < 0.99
    with pytest.raises(ValueError, match="at least 3"):
        linearity([1, 2], [1, 2])


def test_command_prints_one_json_object() -> None:
    out = io.StringIO()
    call_command("bench_render", prompts=4, reference_steps=3, slots=4, json=True, stdout=out,
                 stderr=io.StringIO())
    figures = json.loads(out.getvalue())
    for way in ("naive", "bucketed", "engine"):
        assert figures[way]["images_per_s"] > 0
        assert {"unet_evaluations_per_s", "peak_mb"} <= set(figures[way])
    assert figures["max_difference"] <= 1
    assert 0 < figures["utilisation"] < 1
    assert {"ratio_engine_naive", "ratio_engine_bucketed"} <= set(figures)
