"""Trials fetched as a participant's browser fetches them, and all that can be seen of them."""

import hashlib
import io
import itertools
import random
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from django.core.files.base import ContentFile
from django.db import connection
from PIL import Image

from generation.models import Prompt, Render
from studies.models import (
    Contrast,
    Pair,
    Participant,
    Side,
    Stimulus,
    Study,
    StudyPrompt,
    StudySession,
    Trial,
)
from studies.participation.stimuli import compose
from tests import factories
from tests.bench.visitor import Exchange, Visitor

REFERENCE_STEPS = 997
FIRST_SEED = 71_304_977
SIDE_PX = 96
VISITORS_AT_ONCE = 4
UUIDS = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Numbers are compared, texts are told apart.
Features = dict[str, float | str]
Secrets = dict[str, set[bytes]]


@dataclass(frozen=True)
class Observation:
    """One trial: what its participant could see, and what only the server may know."""

    participant: int
    seen: Features
    side: str
    kind: str


@dataclass(frozen=True)
class Sightings:
    """What all the participants together could see."""

    observations: list[Observation]
    exchanges: list[Exchange]


# --- A study whose secrets are easy to recognise ------------------------------------------------


def make_secretive_session(*, participants: int, num_pairs: int = 30, main_trials: int = 20
                           ) -> StudySession:
    """An open study of images whose candidates are all noisier, with secrets unlike other text."""
    model = factories.make_model(name="quokka-lantern-7", reference_steps=REFERENCE_STEPS,
                                 width=SIDE_PX, height=SIDE_PX)
    study = factories.make_study(
        name="whether marzipan matters", predictor=factories.make_predictor(model=model),
        practice_trials=2, main_trials=main_trials, catch_percent=10, repeat_percent=10,
        catch_steps=401,
    )
    budgeted = factories.make_contrast(study=study)
    uniform = factories.make_contrast(study=study, candidate_arm="uniform")
    catch = factories.make_contrast(study=study, is_catch=True, candidate_arm="fixed(401)")
    for number in range(num_pairs):
        prompt = Prompt.objects.create(text=f"vermilion zeppelin above harbour {7001 + number}")
        StudyPrompt.objects.create(study=study, prompt=prompt, position=number + 1)
        baseline = _render(prompt, REFERENCE_STEPS, number=number, noise=2, study=study)
        _pair(budgeted, baseline, 503 + number, noise=10)
        _pair(uniform, baseline, 607, noise=10)
        if number < study.num_catch_pairs(num_pairs):
            _pair(catch, baseline, 401, noise=60)
    return StudySession.objects.create(
        study=study, name="gazebo wave", state="open", quota=participants,
        opened_at=study.created_at)


def _pair(contrast: Contrast, baseline: Render, num_steps: int, *, noise: int) -> None:
    candidate = _render(baseline.prompt, num_steps, number=baseline.seed - FIRST_SEED, noise=noise,
                        study=contrast.study)
    compose(Pair.objects.create(contrast=contrast, prompt=baseline.prompt, seed=baseline.seed,
                                candidate=candidate, baseline=baseline))


def _render(prompt: Prompt, num_steps: int, *, number: int, noise: int, study: Study
            ) -> Render:
    """One scene for each prompt, with noise that grows as steps get fewer."""
    scene, dice = np.random.default_rng(number), np.random.default_rng((number, num_steps))
    places = np.arange(SIDE_PX)
    waves = np.add.outer(*(40 * np.sin(scene.uniform(0.05, 0.3) * places) for _ in range(2)))
    pixels = 128 + waves[..., None] + dice.integers(-noise, noise + 1, (SIDE_PX, SIDE_PX, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
        buffer, "WEBP", lossless=True, method=0)
    render = factories.make_ready_render(model=study.model, prompt=prompt, num_steps=num_steps,
                                         seed=FIRST_SEED + number)
    render.image.delete(save=False)
    render.image.save(f"{render.public_id}.webp", ContentFile(buffer.getvalue()), save=False)
    render.sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    render.save()
    return render


# --- Looking ----------------------------------------------------------------------------------


def watch(site: str, session: StudySession, *, participants: int) -> Sightings:
    """Take part so often, by the real way, answering at random."""
    with ThreadPoolExecutor(VISITORS_AT_ONCE) as visitors:
        found = list(visitors.map(
            lambda number: _take_part(site, session, number), range(participants)))
    connection.close()
    sides = {str(public_id): (side, kind) for public_id, side, kind in Trial.objects.filter(
        participant__session=session).values_list("public_id", "candidate_side", "kind")}
    return Sightings(
        [Observation(number, seen, *sides[trial_id])
         for number, (trials, _) in enumerate(found) for trial_id, seen in trials],
        [exchange for _, visitor in found for exchange in visitor.seen],
    )


def _take_part(site: str, session: StudySession, number: int
               ) -> tuple[list[tuple[str, Features]], Visitor]:
    visitor, dice = Visitor(site), random.Random(number)
    visitor.join(f"/join/{session.public_id}/")
    state, trials = visitor.where_now(), []
    files = {state["trial"]["id"]: visitor.send("GET", state["trial"]["stimulus"])}
    for place in itertools.count(1):
        if (trial := state["trial"]) is None:
            break
        if upcoming := state["upcoming"]:  # Which a browser loads ahead.
            files[upcoming["id"]] = visitor.send("GET", upcoming["stimulus"])
        reply = visitor.answer(trial, dice.choice(Side.values))
        seen = features_of(trial, files[trial["id"]])
        trials.append((trial["id"], seen | {"place": place, "answer ms": reply.milliseconds}))
        state = reply.json()
    visitor.leave()
    return trials, visitor


def features_of(trial: dict[str, Any], file: Exchange) -> Features:
    """Everything that can be seen of a trial without decoding its image."""
    seen: Features = {"status": file.status, "file ms": file.milliseconds,
                      "address": UUIDS.sub(b"-", trial["stimulus"].encode()).decode()}
    seen |= {f"byte {place}": byte for place, byte in enumerate(UUID(trial["id"]).bytes)}
    seen |= {f"said {name}": value if isinstance(value, int | float) else str(value)
             for name, value in trial.items() if name not in ("id", "stimulus", "answer")}
    for place, (name, value) in enumerate(file.headers):
        seen[f"header {place}"] = name
        seen[f"header {name}"] = _header(name, value)
    for place, (name, length) in enumerate(chunks_of(file.body)):
        seen |= {f"chunk {place}": name, f"length {place}": length}
    # Other bytes of the stream are the image; a run at its end would be filling.
    seen["zeros at the end"] = len(file.body) - len(file.body.rstrip(b"\0"))
    return seen


def _header(name: str, value: str) -> float | str:
    if name.lower() in ("date", "last-modified", "expires"):
        return parsedate_to_datetime(value).timestamp()
    return float(value) if value.isdecimal() else value


def chunks_of(content: bytes) -> Iterator[tuple[str, int]]:
    """The names and lengths of a WebP file's parts (RFC 9649, 2.3)."""
    place = 12
    while place + 8 <= len(content):
        length = int.from_bytes(content[place + 4:place + 8], "little")
        yield content[place:place + 4].decode("latin-1"), length
        place += 8 + length + length % 2
    yield "end", place - len(content)


# --- Searching --------------------------------------------------------------------------------


def secrets_of(session: StudySession) -> Secrets:
    """What no participant may be sent, as it would be written.

    The word "reference" is none: a page of the similarity task names the image above so. Other
    plain words are looked for only where they would speak of one trial, not in static files.
    """
    study = session.study
    pairs = Pair.objects.filter(contrast__study=study).select_related("candidate", "baseline")
    people = session.participants.all()
    renders = [render for pair in pairs for render in (pair.candidate, pair.baseline)]
    files: list[Render | Stimulus] = [
        *renders, *(stimulus for pair in pairs for stimulus in pair.stimuli.all())]
    numbers = {render.num_steps for render in renders} | {pair.seed for pair in pairs}
    numbers |= {person.plan_seed for person in people}
    texts = {pair.prompt.text for pair in pairs} | {"vermilion", "zeppelin", study.model.name,
                                                   study.predictor.name, study.name, session.name}
    names = {file.sha256 for file in files}
    names |= {Path(str(file.image.name)).stem for file in files}
    rows: list[Render | Pair | Participant] = [*renders, *pairs, *people]
    names |= {str(row.public_id) for row in rows}
    return {
        "texts": _encoded(texts | names | {"budgeted", "fixed("}),
        "words": _encoded({"uniform", "candidate", "baseline", "contrast", "num_steps", "budget",
                           "prompt", "seed", "catch", "repeat"}),
        "numbers": _encoded(map(str, numbers)),
    }


def _encoded(texts: Iterable[str]) -> set[bytes]:
    return {text.encode() for text in texts}


def leaks_in(exchanges: Iterable[Exchange], secrets: Secrets) -> list[str]:
    """Where a secret was sent: in an address, a header, a page, a script or a file."""
    found = set()
    for address, content in _distinct(exchanges):
        is_static, is_image = address.startswith("/static/"), content[8:12] == b"WEBP"
        needles = secrets["texts"] | (set() if is_static or is_image else secrets["words"])
        found |= {(address, needle) for needle in needles if needle in content}
        if not is_image:
            # A digit of a random name is none of a number; nor is part of a longer number.
            plain = UUIDS.sub(b" ", content)
            words = set(re.findall(rb"[0-9A-Za-z_]+", plain))
            found |= {(address, number) for number in secrets["numbers"] & words}
    return sorted(f"{needle.decode()} in {address}" for address, needle in found)


def _distinct(exchanges: Iterable[Exchange]) -> Iterator[tuple[str, bytes]]:
    seen: set[bytes] = set()
    for exchange in exchanges:
        # A reply may happen to be as many bytes long as an image has steps.
        headers = "\n".join(f"{name}: {value}" for name, value in exchange.headers
                            if name.lower() != "content-length")
        for content in (exchange.body, f"{exchange.address}\n{headers}".encode()):
            if content not in seen:
                seen.add(content)
                yield exchange.address, content
