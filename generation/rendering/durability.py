"""Proof that nothing is lost: rendering goes on while workers and servers are taken away.

Works on the data folder of this process, which must be empty, with the project's own processes.
"""

import hashlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from django.conf import settings
from django.db import connection

from budgetstudy import embedded
from budgetstudy.supervisor import Supervisor, server_commands
from generation.models import DiffusionModel, Prompt, Render, RenderState
from generation.models.diffusion_models import EMBEDDED_SOURCE
from generation.rendering.orphans import remove_orphans
from generation.rendering.outages import outlast
from generation.rendering.services import request_renders

LEASE_SECONDS = 5
DRAIN_SECONDS = 20
# Seconds an image, so that whatever is taken away is taken away in the middle of one.
FEWEST_STEPS, MOST_STEPS = 60, 120
# Longer than the reaper's beat, a worker's start and the loading of the model, on a busy machine.
STALLED_SECONDS = 300.0
_POLL_SECONDS = 0.2
# An update of a ready row is a second finish, whoever makes it: the rows tell only the last.
_RECORD_FINISHES = """
CREATE TABLE durability_finishes (render_id bigint NOT NULL);
CREATE FUNCTION durability_record_finish() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO durability_finishes VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER durability_finish AFTER UPDATE ON generation_render
    FOR EACH ROW WHEN (NEW.state = 'ready') EXECUTE FUNCTION durability_record_finish();
"""
_FINISHED_TWICE = """
SELECT count(*) FROM (
    SELECT render_id FROM durability_finishes GROUP BY render_id HAVING count(*) > 1
) AS twice
"""

Report = Callable[[str], None]
Wanted = tuple[Prompt, int, int]  # Prompt, seed, steps.


@dataclass(frozen=True)
class Durability:
    """What was asked and done to the renders, and what became of them."""

    renders: int
    ready: int
    quarantined: int
    asked_kills: int
    kills: int
    redis_restarts: int
    postgres_restarts: int
    rendered_more_than_once: int
    orphan_files: int
    sha256_mismatches: int
    seconds: float

    @property
    def is_complete(self) -> bool:
        """All that was asked was done: an ordeal that was cut short proves less than it says."""
        restarts = min(self.redis_restarts, self.postgres_restarts)
        return self.kills >= self.asked_kills and restarts >= num_restarts(self.asked_kills)

    @property
    def has_losses(self) -> bool:
        return self.ready != self.renders or bool(
            self.rendered_more_than_once + self.orphan_files + self.sha256_mismatches
        )

    def problem(self) -> str:
        """Say why the trial proves nothing good; empty where it proves that nothing is lost."""
        if self.has_losses:
            return "Something was lost"
        return "" if self.is_complete else "Less was done than was asked, so nothing is proved"


def prove_durability(*, renders: int, kills: int, seed: int, report: Report) -> Durability:
    """Render while the renderer is killed and each server restarted, at random moments.

    Raises ValueError where there are renders already.
    """
    if Render.objects.exists():
        raise ValueError(f"{settings.DATA_DIR} holds renders: expected an empty data folder")
    started = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(_RECORD_FINISHES)
    dice = random.Random(seed)
    ordeal = _Ordeal(_make_model(), _make_list(renders, dice), kills=kills, dice=dice,
                     report=report)
    done = ordeal.run()
    return _figures(renders, done, kills=kills, seconds=time.monotonic() - started)


def num_restarts(kills: int) -> int:
    """How often each server is restarted for so many kills of the renderer."""
    return max(1, kills // 5)


class _Stalled(Exception):
    """Nothing has become ready for so long that nothing will."""


class _Ordeal:
    """The processes that render, and what is done to them."""

    def __init__(
        self, model: DiffusionModel, wanted: list[Wanted], *, kills: int, dice: random.Random,
        report: Report,
    ) -> None:
        self._model = model
        self._wanted = wanted
        self._num_requested = 0
        self._kills = kills
        self._dice = dice
        self._report = report
        commands = server_commands("127.0.0.1", 1)
        del commands["web"]
        self._supervisor = Supervisor(commands, logs=settings.DATA_DIR / "logs", environment={
            "BUDGETSTUDY_RENDER_LEASE_SECONDS": str(LEASE_SECONDS),
            "BUDGETSTUDY_RENDER_DRAIN_SECONDS": str(DRAIN_SECONDS),
            # Small images on a CPU that others use too: two threads mostly wait for each other.
            "OMP_NUM_THREADS": "1",
            "BUDGETSTUDY_DEVICE": "cpu",
        })
        self._done: list[str] = []

    def run(self) -> list[str]:
        """Return the names of what was done, in order."""
        self._supervisor.start()
        try:
            self._go_through(self._acts())
        except _Stalled as error:  # The figures tell what is lost.
            self._report(str(error))
        finally:
            self._supervisor.stop()
        return self._done

    def _go_through(self, acts: list[Callable[[], None]]) -> None:
        lots = _divided(self._wanted, len(acts) + 1)
        for act, lot in zip(acts, lots[:-1], strict=True):
            at_ready = int(self._num_requested * self._dice.uniform(0.5, 1))
            self._request(lot)
            if self._wait_for(partial(self._is_rendering, at_ready)):
                time.sleep(self._dice.uniform(0, 1))
                act()
                self._report(f"{_ready()} of {len(self._wanted)} ready: {self._done[-1]}")
        self._request(lots[-1])
        self._wait_for(lambda: False)

    def _acts(self) -> list[Callable[[], None]]:
        acts = [self._kill] * self._kills
        acts += [self._restart_redis, self._restart_postgres] * num_restarts(self._kills)
        self._dice.shuffle(acts)
        return acts

    def _request(self, lot: list[Wanted]) -> None:
        """Ask for a part at a time, so that a fast machine has work left when something is due."""
        outlast(partial(request_renders, self._model, lot))
        self._num_requested += len(lot)

    def _wait_for(self, condition: Callable[[], bool]) -> bool:
        """Keep the processes up until the condition holds; False if all is rendered first."""
        latest, since = -1, time.monotonic()
        while not outlast(_is_settled):
            if outlast(condition):
                return True
            self._supervisor.revive(lambda _line: None)
            if (ready := _ready()) != latest:
                latest, since = ready, time.monotonic()
            if time.monotonic() - since > STALLED_SECONDS:
                raise _Stalled(f"nothing has become ready for {STALLED_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return False

    def _is_rendering(self, at_ready: int) -> bool:
        """The renderer that runs now has leases; those of its dead predecessors do not count."""
        holder = f":{self._supervisor.process_id('renderer')}"
        held = Render.objects.filter(state=RenderState.RUNNING, lease_holder__endswith=holder)
        return _ready() >= at_ready and held.exists()

    def _kill(self) -> None:
        self._supervisor.kill("renderer")
        self._done.append("kill")

    def _restart_redis(self) -> None:
        embedded.restart_redis(settings.DATA_DIR, down_seconds=self._dice.uniform(0, 3))
        self._done.append("redis restart")

    def _restart_postgres(self) -> None:
        embedded.restart_postgres(settings.DATA_DIR, down_seconds=self._dice.uniform(0, 3))
        self._done.append("postgres restart")


def _make_model() -> DiffusionModel:
    return DiffusionModel.objects.create(
        name="Durability", source=EMBEDDED_SOURCE, reference_steps=MOST_STEPS, guidance=3.0,
        width=128, height=128,
    )


def _make_list(renders: int, dice: random.Random) -> list[Wanted]:
    prompt = Prompt.objects.create(text="a red circle above a blue square")
    return [(prompt, seed, dice.randint(FEWEST_STEPS, MOST_STEPS)) for seed in range(renders)]


def _divided(wanted: list[Wanted], count: int) -> list[list[Wanted]]:
    """Divide into `count` parts that differ by at most one in length."""
    ends = [len(wanted) * index // count for index in range(count + 1)]
    return [wanted[start:end] for start, end in pairwise(ends)]


def _ready() -> int:
    return outlast(Render.objects.ready().count)


def _is_settled() -> bool:
    unfinished = [RenderState.PENDING, RenderState.RUNNING]
    return not Render.objects.filter(state__in=unfinished).exists()


def _figures(renders: int, done: list[str], *, kills: int, seconds: float) -> Durability:
    remove_orphans()  # As the clock does now and then; a worker may have died over a file.
    ready = dict(Render.objects.ready().values_list("image", "sha256"))
    folder = Path(settings.MEDIA_ROOT)
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    with connection.cursor() as cursor:
        cursor.execute(_FINISHED_TWICE)
        [finished_twice] = cursor.fetchone()
    return Durability(
        renders=renders, ready=len(ready),
        quarantined=Render.objects.filter(state=RenderState.QUARANTINED).count(),
        asked_kills=kills, kills=done.count("kill"), redis_restarts=done.count("redis restart"),
        postgres_restarts=done.count("postgres restart"),
        rendered_more_than_once=finished_twice, orphan_files=len(files.keys() - ready.keys()),
        sha256_mismatches=sum(_digest(files.get(name)) != sha256
                              for name, sha256 in ready.items()),
        seconds=round(seconds, 1),
    )


def _digest(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
