import errno
import hashlib
import io
import re
import shutil
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection
from PIL import Image

from generation.models import Render
from studies.desk.progress import study_progress
from studies.models import Contrast, Pair, Side, Stimulus
from studies.participation.stimuli import StimulusError, compose, compose_pending
from tests import factories


def make_pair(contrast: Contrast, *, has_reference: bool = False, size: int = 32) -> Pair:
    """A pair of two different noisy images, red-channel 200 in the candidate, 50 elsewhere."""
    model, prompt = contrast.study.model, factories.make_prompt()
    renders = [noisy_render(level, model=model, prompt=prompt, num_steps=level, size=size)
               for level in ((200, 50, 90) if has_reference else (200, 50))]
    return Pair.objects.create(contrast=contrast, prompt=prompt, seed=1, candidate=renders[0],
                               baseline=renders[1],
                               reference=renders[2] if has_reference else None)


def noisy_render(level: int, *, size: int, **values: Any) -> Render:
    """A ready render with noise that grows with the level, so that files differ in length."""
    noise = np.random.default_rng(level).integers(0, 1 + level // 8, (size, size, 3))
    pixels = (noise + level).clip(0, 255).astype(np.uint8)
    pixels[..., 0] = level
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, method=0)
    render = factories.make_ready_render(width=size, height=size, **values)
    render.image.delete(save=False)
    render.image.save("noise.webp", ContentFile(buffer.getvalue()), save=False)
    render.sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    render.save()
    return render


def stored_files() -> set[str]:
    folder = Path(settings.MEDIA_ROOT) / "stimuli"
    return {f"stimuli/{path.name}" for path in folder.glob("*")}


def pixels_of(stimulus: Stimulus) -> np.ndarray:
    with Image.open(stimulus.image) as image:
        return np.asarray(image.convert("RGB"))


def pixels_of_render(render: Render) -> np.ndarray:
    with Image.open(render.image) as image:
        return np.asarray(image.convert("RGB"))


@pytest.fixture
def contrast(db: None) -> Contrast:
    return factories.make_contrast()


def test_both_arrangements_hold_the_renders_bit_by_bit(contrast: Contrast) -> None:
    pair = make_pair(contrast)
    assert compose_pending() == 1
    candidate, baseline = pixels_of_render(pair.candidate), pixels_of_render(pair.baseline)
    left = pixels_of(pair.stimuli.get(candidate_side=Side.LEFT))
    right = pixels_of(pair.stimuli.get(candidate_side=Side.RIGHT))
    np.testing.assert_array_equal(left, np.hstack([candidate, baseline]))
    np.testing.assert_array_equal(right, np.hstack([baseline, candidate]))
    assert Pair.objects.ready().get() == pair


def test_reference_stands_centred_above(contrast: Contrast) -> None:
    pair = make_pair(contrast, has_reference=True)
    compose_pending()
    assert pair.reference is not None
    sheet = pixels_of(pair.stimuli.get(candidate_side=Side.LEFT))
    assert sheet.shape == (64, 64, 3)
    np.testing.assert_array_equal(sheet[:32, 16:48], pixels_of_render(pair.reference))
    np.testing.assert_array_equal(sheet[32:, :32], pixels_of_render(pair.candidate))
    assert (sheet[:32, :16] == 119).all()
    assert (sheet[:32, 48:] == 119).all()


def test_neither_length_nor_name_nor_metadata_tells_the_side(contrast: Contrast) -> None:
    pairs = [make_pair(contrast, size=size) for size in (31, 32, 40, 57)]
    assert compose_pending() == 4
    for pair in pairs:
        left, right = (stimulus.image.read() for stimulus in pair.stimuli.all())
        # RIFF, its length, WEBP, VP8L, the stream's length: equal, and nothing else is there.
        assert left[:20] == right[:20]
        assert len(left) == len(right) == int.from_bytes(left[4:8], "little") + 8
        assert (left[12:16], int.from_bytes(left[16:20], "little")) == (b"VP8L", len(left) - 20)
        for stimulus in pair.stimuli.all():
            assert re.fullmatch(r"stimuli/[0-9a-f-]{36}\.webp", str(stimulus.image.name))


def test_where_the_image_ends_in_its_file_cannot_be_seen(contrast: Contrast) -> None:
    """Both arrangements end in bytes drawn from their own, not in a run that could be measured."""
    pair = make_pair(contrast, size=64)
    compose_pending()
    for stimulus in pair.stimuli.all():
        content = stimulus.image.read()
        assert len(set(content[-64:])) > 20
        assert set(content[-64:]) <= set(content[20:-64])


def test_composing_again_changes_nothing(contrast: Contrast) -> None:
    pair = make_pair(contrast)
    before = stored_files()
    assert compose_pending() == 1
    assert compose_pending() == 0
    assert compose(pair) is False
    assert len(stored_files() - before) == 2


def test_a_lost_side_is_composed_again(contrast: Contrast) -> None:
    pair = make_pair(contrast)
    compose_pending()
    pair.stimuli.get(candidate_side=Side.LEFT).delete()
    assert compose_pending() == 1
    assert Pair.objects.ready().get() == pair


def test_pair_whose_renders_are_not_ready_waits(contrast: Contrast) -> None:
    model, prompt = contrast.study.model, factories.make_prompt()
    Pair.objects.create(contrast=contrast, prompt=prompt, seed=1,
                        candidate=factories.make_ready_render(model=model, prompt=prompt),
                        baseline=factories.make_render(model=model, prompt=prompt, num_steps=50))
    assert compose_pending() == 0


def test_file_that_changed_on_disk_is_refused_and_holds_nobody_up(
    contrast: Contrast, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = make_pair(contrast), make_pair(contrast)
    Path(bad.candidate.image.path).write_bytes(b"not what was rendered")
    with pytest.raises(StimulusError, match=r"is not the one rendered"):
        compose(bad)
    assert compose_pending() == 1
    assert "stimulus not composed" in caplog.text
    assert Pair.objects.ready().get() == good


def test_pair_that_cannot_be_composed_says_so_and_is_not_tried_again(
    contrast: Contrast, caplog: pytest.LogCaptureFixture
) -> None:
    pair = make_pair(contrast)
    Path(pair.candidate.image.path).write_bytes(b"not what was rendered")
    assert study_progress(contrast.study).is_composing
    compose_pending()
    caplog.clear()
    compose_pending()
    assert not caplog.text
    shown = study_progress(contrast.study)
    assert not shown.is_composing
    failure, = shown.errors
    assert failure.prompt == pair.prompt
    assert failure.is_of_pairs
    assert "is not the one rendered" in failure.error


def test_pair_whose_file_is_gone_waits_for_it_to_be_rendered_again(
    contrast: Contrast, caplog: pytest.LogCaptureFixture
) -> None:
    pair = make_pair(contrast)
    Path(pair.baseline.image.path).unlink()
    assert compose_pending() == 0
    assert "stimulus waits" in caplog.text
    pair.refresh_from_db()
    assert (pair.composition_error, pair.baseline.state) == ("", "pending")
    assert "file was gone from the storage" in pair.baseline.error
    again = noisy_render(50, size=32, prompt=factories.make_prompt())
    Render.objects.filter(pk=pair.baseline_id).update(
        state="ready", image=again.image.name, sha256=again.sha256, finished_at=again.finished_at)
    assert compose_pending() == 1


def test_images_too_large_for_one_file_are_said(contrast: Contrast) -> None:
    model, prompt = contrast.study.model, factories.make_prompt()
    renders = [factories.make_ready_render(model=model, prompt=prompt, num_steps=num_steps,
                                           width=8192, height=8) for num_steps in (8, 50)]
    pair = Pair.objects.create(contrast=contrast, prompt=prompt, seed=1, candidate=renders[0],
                               baseline=renders[1])
    with pytest.raises(StimulusError, match="images of 8192 x 8 make no stimulus"):
        compose(pair)


class NearlyFullStorage(FileSystemStorage):
    """Takes one stimulus and has no room for another."""

    def save(self, name: str | None, content: Any, max_length: int | None = None) -> str:
        if stored_files():
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().save(name, content, max_length)


def test_disk_that_fills_up_between_the_two_files_keeps_neither(
    contrast: Contrast, settings: Any, tmp_path: Path
) -> None:
    pair = make_pair(contrast)
    shutil.copytree(settings.MEDIA_ROOT, tmp_path, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("stimuli"))
    settings.MEDIA_ROOT = tmp_path
    full = {"BACKEND": f"{NearlyFullStorage.__module__}.{NearlyFullStorage.__qualname__}"}
    settings.STORAGES = {**settings.STORAGES, "default": full}
    with pytest.raises(OSError, match="No space left"):
        compose(pair)
    assert not stored_files()
    assert not pair.stimuli.exists()


def test_missing_file_and_unequal_sizes_are_said(contrast: Contrast) -> None:
    pair = make_pair(contrast)
    Path(pair.candidate.image.path).unlink()
    with pytest.raises(StimulusError, match="has no file"):
        compose(pair)
    other = make_pair(contrast)
    other.candidate = noisy_render(33, size=16, model=contrast.study.model, prompt=other.prompt)
    with pytest.raises(StimulusError, match="16 x 16, 32 x 32"):
        compose(other)


@pytest.mark.django_db(transaction=True)
def test_pair_discarded_while_it_is_composed_leaves_no_file() -> None:
    pair = make_pair(factories.make_contrast())
    before = stored_files()
    Pair.objects.filter(pk=pair.pk).delete()
    assert compose(pair) is False
    assert stored_files() == before


@pytest.mark.django_db(transaction=True)
def test_two_workers_compose_each_pair_once_and_leave_no_orphan() -> None:
    contrast = factories.make_contrast()
    pairs = [make_pair(contrast) for _ in range(6)]
    before = stored_files()
    together = Barrier(4)

    def work() -> None:
        try:
            for pair in pairs:
                together.wait()
                compose(Pair.objects.get(pk=pair.pk))
        finally:
            connection.close()

    workers = [Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert Stimulus.objects.count() == 12
    named = set(Stimulus.objects.values_list("image", flat=True))
    assert stored_files() - before == named
