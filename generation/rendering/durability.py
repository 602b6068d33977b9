"""Proof that nothing is lost: rendering goes on while workers and servers are taken away.

Works on the data folder of this process, which must be empty, with the project's own processes.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import connection

from budgetstudy import embedded
from budgetstudy.supervisor import Supervisor, server_commands
from generation.models import DiffusionModel, Prompt, Render, RenderState
from generation.models.diffusion_models import EMBEDDED_SOURCE
from generation.rendering.outages import outlast
from generation.rendering.services import request_renders

LEASE_SECONDS = 5
DRAIN_SECONDS = 20
# Long enough, a few at a time, that there is always something to take away in the middle of it.
FEWEST_STEPS, MOST_STEPS = 30, 60
SLOTS = 4
# Longer than the reaper's beat, a worker's start and the loading of the model, on a busy machine.
STALLED_SECONDS = 180.0
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


@dataclass(frozen=True)
class Durability:
    """What was asked and done to the renders, and what became of them."""

    renders: int
    ready: int
    quarantined: int
    kills: int
    redis_restarts: int
    postgres_restarts: int
    rendered_more_than_once: int
    orphan_files: int
    sha256_mismatches: int
    seconds: float

    @property
    def has_losses(self) -> bool:
        return self.ready != self.renders or bool(
            self.rendered_more_than_once + self.orphan_files + self.sha256_mismatches
        )


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
    _request(renders, dice)
    done = _Ordeal(renders, kills, dice=dice, report=report).run()
    return _figures(renders, done, seconds=time.monotonic() - started)


class _Ordeal:
    """The processes that render, and what is done to them."""

    def __init__(self, renders: int, kills: int, *, dice: random.Random, report: Report) -> None:
        self._renders = renders
        self._kills = kills
        self._dice = dice
        self._report = report
        commands = server_commands("127.0.0.1", 1)
        del commands["web"]
        self._supervisor = Supervisor(commands, logs=settings.DATA_DIR / "logs", environment={
            "BUDGETSTUDY_RENDER_LEASE_SECONDS": str(LEASE_SECONDS),
            "BUDGETSTUDY_RENDER_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "BUDGETSTUDY_RENDER_SLOTS": str(SLOTS),
            # Small images on a CPU that others use too: two threads mostly wait for each other.
            "OMP_NUM_THREADS": "1",
        })
        self._done: list[str] = []

    def run(self) -> list[str]:
        """Return the names of what was done, in order."""
        self._supervisor.start()
        try:
            for at_ready, act in self._plan():
                if not self._wait_for(partial(self._is_rendering, at_ready)):
                    break
                time.sleep(self._dice.uniform(0, 1))
                act()
                self._report(f"{_ready()} of {self._renders} ready: {self._done[-1]}")
            self._wait_for(lambda: False)
        finally:
            self._supervisor.stop()
        return self._done

    def _plan(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """What to do once how many renders are ready: spread evenly, each at a random place."""
        restarts = max(1, self._kills // 5)
        acts = [(self._spread(index, self._kills), self._kill) for index in range(self._kills)]
        for restart in (self._restart_redis, self._restart_postgres):
            acts += [(self._spread(index, restarts), restart) for index in range(restarts)]
        return iter(sorted(acts, key=lambda act: act[0]))

    def _spread(self, index: int, count: int) -> int:
        """A place in the first two thirds: the last renders may end before anything is done."""
        return int(2 / 3 * self._renders * (index + self._dice.random()) / count)

    def _wait_for(self, condition: Callable[[], bool]) -> bool:
        """Keep the processes up until the condition holds; False if all renders are done first.

        Also False when nothing has become ready for long: the figures then tell what is lost.
        """
        latest, since = -1, time.monotonic()
        while not outlast(_is_settled):
            if outlast(condition):
                return True
            self._supervisor.revive(lambda _line: None)
            if (ready := _ready()) != latest:
                latest, since = ready, time.monotonic()
            if time.monotonic() - since > STALLED_SECONDS:
                self._report(f"nothing has become ready for {STALLED_SECONDS:.0f} s")
                return False
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


def _request(renders: int, dice: random.Random) -> None:
    model = DiffusionModel.objects.create(
        name="Durability", source=EMBEDDED_SOURCE, reference_steps=MOST_STEPS, guidance=3.0,
        width=128, height=128,
    )
    prompt = Prompt.objects.create(text="a red circle above a blue square")
    request_renders(model, [(prompt, seed, dice.randint(FEWEST_STEPS, MOST_STEPS))
                            for seed in range(renders)])


def _ready() -> int:
    return outlast(Render.objects.ready().count)


def _is_settled() -> bool:
    unfinished = [RenderState.PENDING, RenderState.RUNNING]
    return not Render.objects.filter(state__in=unfinished).exists()


def _figures(renders: int, done: list[str], *, seconds: float) -> Durability:
    ready = dict(Render.objects.ready().values_list("image", "sha256"))
    folder = Path(settings.MEDIA_ROOT)
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    with connection.cursor() as cursor:
        cursor.execute(_FINISHED_TWICE)
        [finished_twice] = cursor.fetchone()
    return Durability(
        renders=renders, ready=len(ready),
        quarantined=Render.objects.filter(state=RenderState.QUARANTINED).count(),
        kills=done.count("kill"), redis_restarts=done.count("redis restart"),
        postgres_restarts=done.count("postgres restart"),
        rendered_more_than_once=finished_twice, orphan_files=len(files.keys() - ready.keys()),
        sha256_mismatches=sum(_digest(files.get(name)) != sha256
                              for name, sha256 in ready.items()),
        seconds=round(seconds, 1),
    )


def _digest(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""
