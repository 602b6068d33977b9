from pathlib import Path

import pytest
import torch
from diffusers import DiffusionPipeline
from django.core.management import CommandError, call_command
from django.db import connection

from generation.budget.encoders import ImageEncoder
from generation.budget.folders import open_model
from generation.budget.measuring import MeasuredCurves, measure_curves, read_curves
from generation.models import Render, RenderState
from generation.rendering.services import is_rendering, pause_model, resume_model
from tests import factories

STEPS = [1, 2, 3]
PROMPTS = ["a red background", "a blue background, centre a large white star"]


@pytest.fixture(scope="module")
def model(pipeline_folder: Path) -> tuple[DiffusionPipeline, ImageEncoder]:
    return open_model(pipeline_folder)


def measure(
    model: tuple[DiffusionPipeline, ImageEncoder], out: Path, *, prompts: list[str] = PROMPTS,
    steps: list[int] = STEPS, seeds: tuple[int, ...] = (0,),
) -> tuple[list[MeasuredCurves], list[str]]:
    lines: list[str] = []
    rows = measure_curves(*model, prompts=prompts, seeds=seeds, steps=steps, guidance=3.0, out=out,
                          report=lines.append)
    return rows, lines


def test_curves_end_at_the_reference_itself(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    rows, _ = measure(model, tmp_path / "curves.jsonl")
    assert [row.prompt for row in rows] == PROMPTS
    for row in rows:
        assert row.curves["patch-cosine"][-1] == pytest.approx(0, abs=1e-5)
        assert row.curves["i-clip"][-1] == pytest.approx(1, abs=1e-5)
        assert row.curves["patch-cosine"][0] > row.curves["patch-cosine"][-1]


def test_measuring_goes_on_where_it_stopped(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    out = tmp_path / "curves.jsonl"
    first, _ = measure(model, out, prompts=PROMPTS[:1])
    both, lines = measure(model, out)
    assert both[0] == first[0]
    assert lines[-1].startswith("1 of 1 curves")


def test_measuring_waits_between_images_while_something_is_more_urgent(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    """Asked before the first image and after each but the last, which nothing follows."""
    answers = iter([True, True, False, False, True, False])
    calls: list[int] = []
    drawn_when_asked: list[int] = []

    def is_busy() -> bool:
        drawn_when_asked.append(len(calls))
        return next(answers)

    lines: list[str] = []
    hook = model[0].vae.decoder.register_forward_pre_hook(lambda *_: calls.append(1))
    try:
        measure_curves(*model, prompts=PROMPTS[:1], seeds=(0,), steps=STEPS, guidance=3.0,
                       out=tmp_path / "curves.jsonl", report=lines.append, is_busy=is_busy)
    finally:
        hook.remove()
    assert next(answers, None) is None
    assert drawn_when_asked[:3] == [0, 0, 0]
    waiting, going = "Waiting: more urgent images are rendered first", "Going on"
    assert lines[:-1] == [waiting, going, waiting, going]


@pytest.mark.django_db(transaction=True)
def test_images_of_studies_go_before_curves() -> None:
    assert not is_rendering()
    render = factories.make_render()
    assert is_rendering()
    pause_model(render.model)
    assert not is_rendering()
    resume_model(render.model)
    Render.objects.update(state=RenderState.CANCELLED)
    assert not is_rendering()


@pytest.mark.django_db(transaction=True)
def test_curves_need_no_tables() -> None:
    factories.make_render()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE generation_render RENAME TO away")
    try:
        assert not is_rendering()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO generation_render")
    assert is_rendering()


def test_line_cut_by_a_kill_is_measured_again(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    out = tmp_path / "curves.jsonl"
    measure(model, out)
    whole = out.read_text()
    out.write_text(whole[:-20])
    measure(model, out)
    assert [row.prompt for row in read_curves(out)] == PROMPTS
    assert out.read_text().count("\n") == 2


def test_noise_belongs_to_the_seed_and_not_to_the_batch(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    together, _ = measure(model, tmp_path / "together.jsonl")
    alone, _ = measure(model, tmp_path / "alone.jsonl", prompts=PROMPTS[1:])
    for metric, values in alone[0].curves.items():
        assert together[1].curves[metric] == pytest.approx(values, abs=1e-3)


def test_file_of_another_grid_is_refused(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    out = tmp_path / "curves.jsonl"
    measure(model, out)
    with pytest.raises(ValueError, match="name another file"):
        measure(model, out, steps=[1, 2, 4])


def test_prompt_that_would_be_cut_is_refused_before_anything_is_measured(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    out = tmp_path / "curves.jsonl"
    with pytest.raises(ValueError, match="52 tokens"):
        measure(model, out, prompts=[*PROMPTS, "red " * 50])
    assert not out.exists()


def test_images_of_another_size_are_resized_for_the_encoder(pipeline_folder: Path) -> None:
    encoder = ImageEncoder.from_folder(pipeline_folder / "clip")
    embeddings, patches = encoder.encode(torch.rand(2, 3, 64, 96))
    assert (embeddings.shape, patches.shape) == ((2, 128), (2, 64, 128))


def test_dense_grid_measures_every_count_and_embeds_each_image_once(
    model: tuple[DiffusionPipeline, ImageEncoder], tmp_path: Path
) -> None:
    embedded = []
    hook = model[1].vision.register_forward_pre_hook(lambda *_: embedded.append(1))
    try:
        rows, _ = measure(model, tmp_path / "curves.jsonl", steps=[1, 2, 3, 4, 5])
    finally:
        hook.remove()
    assert [len(row.curves["i-clip"]) for row in rows] == [5, 5]
    assert len(embedded) == 2 * 5


@pytest.mark.parametrize(("steps", "message"), [
    ("1,two", "whole numbers"), ("2,3", "rise from 1"), ("1,3,2,4", "rise from 1"),
    ("1,2", "reference count, 4"), ("1,4,4", "rise from 1"),
])
def test_impossible_step_grids_are_refused_by_the_command(
    tmp_path: Path, steps: str, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("measure_curves", tmp_path / "curves.jsonl", steps=steps, reference_steps=4)
    assert not (tmp_path / "curves.jsonl").exists()


def test_curves_through_the_pipelines_own_loop_are_the_same(
    model: tuple[DiffusionPipeline, ImageEncoder], pipeline_folder: Path, tmp_path: Path
) -> None:
    own = open_model(pipeline_folder, scheduler="own")
    batched, _ = measure(model, tmp_path / "batched.jsonl")
    through_own, _ = measure(own, tmp_path / "own.jsonl")
    for ours, theirs in zip(batched, through_own, strict=True):
        # Rounding to 8 bits is all that differs.
        assert ours.curves["i-clip"] == pytest.approx(theirs.curves["i-clip"], abs=1e-2)
        assert ours.curves["patch-cosine"] == pytest.approx(theirs.curves["patch-cosine"], abs=1e-2)


def test_odd_sizes_are_refused_by_the_command(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="1024x1024"):
        call_command("measure_curves", tmp_path / "curves.jsonl", size="large")
