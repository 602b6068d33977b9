"""How late a trial paints after its blank interval, in Chromium:

    python -m tests.bench.trials --trials 100 --json

Uses a data folder, a database and a server of its own, which are removed afterwards. The images are
noise, which compresses worst, of the size of a common diffusion model's.
"""

import argparse
import atexit
import itertools
import json
import os
import random
import shutil
import tempfile
from pathlib import Path
from statistics import median, quantiles
from typing import Any

VIEWING_MS = (300, 900)  # How long a trial is looked at, drawn evenly.


def start_scratch_project() -> None:
    """Start Django on embedded servers in a folder of its own, which goes when the process ends."""
    folder = tempfile.mkdtemp(prefix="bench-trials-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # Runs after the servers' own.
    os.environ["BUDGETSTUDY_TEST_DATA_DIR"] = folder
    import django

    import tests.environment  # noqa: F401

    django.setup()
    from django.core.management import call_command

    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("migrate", verbosity=0)


def measure(*, num_trials: int, size: int, blank_ms: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    from studies.models import Response
    from tests.conftest import CHROMIUM, CHROMIUM_FLAGS, free_port, serving
    from tests.studies.trial_page import WATCH_STATES, TrialPage, begin

    if CHROMIUM is None:
        raise SystemExit("Chromium is missing: apt-get install chromium")
    participant = begin(_make_session(num_trials + 1, size=size, blank_ms=blank_ms))
    port = free_port()
    with serving(port), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        way = TrialPage(page, f"http://127.0.0.1:{port}", participant)
        way.open()
        way.wait_for_show()
        page.evaluate(WATCH_STATES)
        chance = random.Random(0)
        for _ in range(num_trials):
            page.wait_for_timeout(chance.uniform(*VIEWING_MS))
            page.keyboard.press(chance.choice("fj"))
            way.wait_for_show()
        way.wait_for_stored(num_trials)
        changes = page.evaluate("window.changes")
        browser.close()
    late = [after - before - blank_ms for (state, before), (_, after)
            in itertools.pairwise(changes) if state == "blank"]
    times = Response.objects.values_list("image_load_ms", "image_decode_ms", "frame_ms")
    load, decode, frame = (median(x for x in each if x is not None)
                           for each in zip(*times, strict=True))
    return {
        "trials": len(late), "blank_ms": blank_ms, "size_px": size,
        "late_p50_ms": round(median(late), 2), "late_p95_ms": round(quantiles(late, n=20)[-1], 2),
        "late_max_ms": round(max(late), 2), "late_min_ms": round(min(late), 2),
        "frame_ms": frame, "load_p50_ms": load, "decode_p50_ms": decode,
    }


def _make_session(num_trials: int, *, size: int, blank_ms: int) -> Any:
    from PIL import Image

    from studies.models import Stimulus
    from tests import factories

    predictor = factories.make_predictor(model=factories.make_model(width=size, height=size))
    study = factories.make_study(predictor=predictor, practice_trials=0, main_trials=num_trials,
                                 blank_ms=blank_ms)
    session = factories.make_open_session(study=study, num_pairs=num_trials)
    bands = [Image.effect_noise((2 * size, size), 60) for _ in range(3)]
    sheet = Path(tempfile.gettempdir()) / f"bench-{os.getpid()}.webp"
    Image.merge("RGB", bands).save(sheet, lossless=True, method=0)
    for stimulus in Stimulus.objects.all():
        shutil.copyfile(sheet, stimulus.image.path)
    sheet.unlink()
    return session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--size", type=int, default=512, help="of one image, in pixels")
    parser.add_argument("--blank-ms", type=int, default=500)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    if options.trials < 2:
        parser.error(f"expected at least 2 trials, got {options.trials}")
    start_scratch_project()
    figures = measure(num_trials=options.trials, size=options.size, blank_ms=options.blank_ms)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:<14}  {value}")


if __name__ == "__main__":
    main()
