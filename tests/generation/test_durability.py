"""Nothing is lost and nothing rendered twice, with real workers and servers that are taken away."""

import io
import itertools
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from generation.models import Render, RenderState
from generation.rendering.durability import Durability, prove_durability
from generation.rendering.queueing import queue_drain
from generation.rendering.services import request_renders
from tests import factories
from tests.conftest import running_worker, wait_until

RENDERS, KILLS = 24, 4


def test_nothing_is_lost_while_workers_are_killed_and_servers_restarted() -> None:
    """The command's own servers are embedded ones, whatever this test's database is."""
    said = io.StringIO()
    call_command("check_durability", renders=RENDERS, kills=KILLS, json=True, stdout=said)
    figures = json.loads(said.getvalue())
    assert figures.pop("seconds") > 0
    assert figures == {
        "renders": RENDERS, "ready": RENDERS, "quarantined": 0,
        "asked_kills": KILLS, "kills": KILLS, "redis_restarts": 1, "postgres_restarts": 1,
        "rendered_more_than_once": 0, "orphan_files": 0, "sha256_mismatches": 0,
    }


@pytest.mark.django_db(transaction=True)
def test_two_workers_share_a_model_and_render_nothing_twice() -> None:
    model = factories.make_model(guidance=1.0, width=64, height=64)
    prompt, seeds = factories.make_prompt(), itertools.count()
    short_turns = {"BUDGETSTUDY_RENDER_DRAIN_SECONDS": "2", "OMP_NUM_THREADS": "1"}

    def is_shared() -> bool:
        """The slower to start has had its share too: there is work until then."""
        if Render.objects.claimable().count() < 20:
            request_renders(model, [(prompt, next(seeds), 6) for _ in range(40)])
        queue_drain(model)  # One message would keep one worker busy.
        return Render.objects.ready().values("lease_holder").distinct().count() == 2

    def is_done() -> bool:
        return not Render.objects.exclude(state=RenderState.READY).exists()

    with running_worker(**short_turns), running_worker(**short_turns):
        wait_until(is_shared, seconds=300)
        wait_until(is_done, seconds=300)
    assert set(Render.objects.values_list("attempts", "shared_losses")) == {(1, 0)}
    assert Render.objects.values("sha256").distinct().count() == next(seeds)


@pytest.mark.django_db
def test_trial_leaves_a_lab_s_data_alone() -> None:
    factories.make_render()
    with pytest.raises(ValueError, match="holds renders: expected an empty data folder"):
        prove_durability(renders=1, kills=1, seed=0, report=print)


@pytest.mark.parametrize("count", ["renders", "kills"])
def test_trial_of_nothing_is_refused(count: str) -> None:
    with pytest.raises(CommandError, match="at least 1 render and 1 kill"):
        call_command("check_durability", **{count: 0})


WHOLE: dict[str, Any] = {
    "renders": 10, "ready": 10, "quarantined": 0, "asked_kills": 10, "kills": 10,
    "redis_restarts": 2, "postgres_restarts": 2, "rendered_more_than_once": 0,
    "orphan_files": 0, "sha256_mismatches": 0, "seconds": 1.0,
}


@pytest.mark.parametrize("loss", [
    {"ready": 9}, {"rendered_more_than_once": 1}, {"orphan_files": 1}, {"sha256_mismatches": 1},
])
def test_any_loss_is_one(loss: dict[str, int]) -> None:
    assert not Durability(**WHOLE).has_losses
    assert Durability(**(WHOLE | loss)).problem() == "Something was lost"


@pytest.mark.parametrize("short", ["kills", "redis_restarts", "postgres_restarts"])
def test_ordeal_that_was_cut_short_proves_nothing(short: str) -> None:
    assert not Durability(**WHOLE).problem()
    assert "Less was done" in Durability(**(WHOLE | {short: 1})).problem()
