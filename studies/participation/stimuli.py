"""The one file that a trial shows, composed from a pair's renders."""

import hashlib
import io
import logging
import random
import time
import uuid
from collections.abc import Mapping

from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from PIL import Image

from generation.models import Render
from generation.rendering.services import restore_missing
from studies.models import Pair, Side, Stimulus

logger = logging.getLogger(__name__)
# Shows only where nothing is cropped from: beside the reference.
SURROUND = (119, 119, 119)
# A stream's own last byte is seldom full, so neither arrangement's may come last.
LEAST_FILLING_BYTES = 64
# Bytes near the end of a stream are alike; those of another part of the image are not.
LIKE_BYTES = 2048
# A worker draws images too: a long backlog is left to the next call.
COMPOSE_SECONDS = 5.0


class StimulusError(Exception):
    """A pair cannot be composed; the message says which render is wrong and how."""


class RenderMissing(StimulusError):
    """A render's file is gone; it is rendered again, and the pair waits for it."""


def compose_pending(*, seconds: float = COMPOSE_SECONDS) -> int:
    """Compose the stimuli of every pair that has its renders; return how many pairs were done.

    Safe beside other workers. Stops after `seconds`, for the next call to go on.
    """
    deadline, num_composed = time.monotonic() + seconds, 0
    # In random order, two workers rarely take the same pair.
    for pair_id in list(Pair.objects.composable().order_by("?").values_list("pk", flat=True)):
        if time.monotonic() > deadline:
            break
        try:
            num_composed += _compose_by_id(pair_id)
        except RenderMissing as error:
            logger.warning("stimulus waits", extra={"pair": pair_id, "reason": str(error)})
        except StimulusError as error:
            logger.error("stimulus not composed", extra={"pair": pair_id, "reason": str(error)})
            Pair.objects.filter(pk=pair_id).update(composition_error=str(error))
    return num_composed


def _compose_by_id(pair_id: int) -> bool:
    pairs = Pair.objects.select_related("candidate", "baseline", "reference")
    pair = pairs.filter(pk=pair_id).first()
    return pair is not None and compose(pair)  # A draft's pairs may be discarded at any time.


def compose(pair: Pair) -> bool:
    """Compose and store what the pair lacks; False if another was first or the pair is gone."""
    missing = set(Side) - set(pair.stimuli.values_list("candidate_side", flat=True))
    contents = _encode_both(pair)
    stimuli: list[Stimulus] = []
    try:
        for side in missing:
            # One by one: where the second fails, the first must be known, to be removed.
            stimuli.append(_store(pair, side, content=contents[side]))  # noqa: PERF401
        with transaction.atomic():
            Stimulus.objects.bulk_create(stimuli)
    except IntegrityError:
        _remove_files(stimuli)
        return False
    except BaseException:
        _remove_files(stimuli)
        raise
    return bool(stimuli)


def _encode_both(pair: Pair) -> Mapping[Side, bytes]:
    """Encode the file for each candidate side, alike in all that is not the image itself."""
    candidate, baseline = _read(pair.candidate), _read(pair.baseline)
    reference = _read(pair.reference) if pair.reference else None
    images = [image for image in (candidate, baseline, reference) if image]
    if len({image.size for image in images}) != 1:
        sizes = ", ".join(f"{image.width} x {image.height}" for image in images)
        raise StimulusError(f"the images of a pair must have one size, got {sizes}")
    try:
        encoded = {
            Side.LEFT: _encode(_arrange(candidate, baseline, reference=reference)),
            Side.RIGHT: _encode(_arrange(baseline, candidate, reference=reference)),
        }
    except ValueError as error:
        raise StimulusError(
            f"images of {candidate.width} x {candidate.height} make no stimulus: {error}"
        ) from error
    num_bytes = max(map(len, encoded.values())) + LEAST_FILLING_BYTES
    # A part of a RIFF file has an even length.
    num_bytes += num_bytes % 2
    return {side: _file_of(stream, num_bytes) for side, stream in encoded.items()}


def _read(render: Render) -> Image.Image:
    """Read a render's image, if it still is the one that was rendered."""
    try:
        with render.image.open("rb") as file:
            content = file.read()
    except OSError as error:
        reason = f"render {render.public_id} has no file: {error}"
        if restore_missing(Render.objects.filter(pk=render.pk)):
            raise RenderMissing(f"{reason}; it is rendered again") from error
        raise StimulusError(reason) from error
    if hashlib.sha256(content).hexdigest() != render.sha256:
        raise StimulusError(f"the file of render {render.public_id} is not the one rendered")
    try:
        return Image.open(io.BytesIO(content)).convert("RGB")
    except OSError as error:
        raise StimulusError(f"the file of render {render.public_id} is no image") from error


def _arrange(
    left: Image.Image, right: Image.Image, *, reference: Image.Image | None
) -> Image.Image:
    """Put two images side by side, below the reference if there is one."""
    width, height = left.size
    top = height if reference else 0
    sheet = Image.new("RGB", (2 * width, top + height), SURROUND)
    if reference:
        sheet.paste(reference, (width // 2, 0))
    sheet.paste(left, (0, top))
    sheet.paste(right, (width, top))
    return sheet


def _encode(image: Image.Image) -> bytes:
    """Encode losslessly: the bit stream of a WebP file, which is its only part.

    Such a file is RIFF, its length, WEBP, VP8L, the stream's length and the stream (RFC 9649, 2.6).
    """
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, method=0, exif=b"", icc_profile=b"", xmp=b"")
    plain = buffer.getvalue()
    return plain[20:20 + int.from_bytes(plain[16:20], "little")]


def _file_of(stream: bytes, num_bytes: int) -> bytes:
    """Make a WebP file whose stream is filled up to `num_bytes`.

    A stream ends where its last pixel does, and readers stop there. How long it is would tell which
    of two arrangements this is, nearly always, as one image compresses worse. So the filling is
    drawn from the stream's last bytes: no length and no run of equal bytes shows where it begins.
    """
    dice = random.Random(hashlib.sha256(stream).digest())
    filling = bytes(dice.choices(stream[-LIKE_BYTES:], k=num_bytes - len(stream)))
    chunk = b"WEBPVP8L" + num_bytes.to_bytes(4, "little") + stream + filling
    return b"RIFF" + len(chunk).to_bytes(4, "little") + chunk


def _store(pair: Pair, side: Side, *, content: bytes) -> Stimulus:
    """Write the file under a name that says nothing; the row follows in a transaction."""
    stimulus = Stimulus(
        pair=pair,
        candidate_side=side,
        sha256=hashlib.sha256(content).hexdigest(),
        side_width=pair.candidate.width,
        side_height=pair.candidate.height,
    )
    stimulus.image.save(f"{uuid.uuid4()}.webp", ContentFile(content), save=False)
    return stimulus


def _remove_files(stimuli: list[Stimulus]) -> None:
    for stimulus in stimuli:
        stimulus.image.delete(save=False)
