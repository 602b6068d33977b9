"""Many participants who arrive at nearly the same time, by the real way in."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from django.db import connection

from studies.models import Side, StudySession, Trial, TrialKind
from tests import factories
from tests.bench.visitor import Visitor

# More threads than this only wait for one another on a small machine.
MOST_AT_ONCE = 100


def make_crowd_session(*, quota: int, num_pairs: int = 30, main_trials: int = 20) -> StudySession:
    """A study as it is by default, with catch trials and repeats, and two comparisons."""
    study = factories.make_study(main_trials=main_trials, practice_trials=2, catch_percent=10,
                                 repeat_percent=10)
    session = factories.make_open_session(num_pairs=num_pairs, study=study, quota=quota)
    uniform = factories.make_contrast(study=study, candidate_arm="uniform")
    for _ in range(num_pairs):
        factories.make_ready_pair(contrast=uniform)
    return session


def arrive(site: str, session: StudySession, *, participants: int, within_s: float
           ) -> dict[str, Any]:
    """Send so many visitors through the way in, evenly over `within_s`, and look at the plans.

    They load pages, and leave out scripts and styles, which a browser keeps.

    Returns
    -------
    dict
        `seconds` from the first arrival until the last has a plan or a refusal; `start_p50_ms` and
        `start_p95_ms` of one visitor's whole way in; `started`, `refused`, `quota_exceeded`;
        `spread`, the largest less the smallest number of main trials over pairs and sides.
    """
    began = time.perf_counter()

    def visit(number: int) -> tuple[int, float]:
        time.sleep(max(0.0, began + within_s * number / participants - time.perf_counter()))
        arrived = time.perf_counter()
        visitor = Visitor(site, loads_assets=False)
        reply = visitor.join(f"/join/{session.public_id}/")
        visitor.leave()
        return (200 if visitor.trials else reply.status), time.perf_counter() - arrived

    with ThreadPoolExecutor(min(participants, MOST_AT_ONCE)) as visitors:
        outcomes = list(visitors.map(visit, range(participants)))
    seconds = time.perf_counter() - began
    connection.close()
    statuses = Counter(status for status, _ in outcomes)
    ways = np.array([1000 * duration for _, duration in outcomes])
    num_held = session.participants.holding_places().count()
    return {
        "seconds": seconds, "start_p50_ms": float(np.percentile(ways, 50)),
        "start_p95_ms": float(np.percentile(ways, 95)), "started": statuses[200],
        "refused": statuses[403], "errors": participants - statuses[200] - statuses[403],
        "spread": spread_of(session), "quota_exceeded": num_held > session.quota,
    }


def spread_of(session: StudySession) -> int:
    """The largest less the smallest number of held main trials over compared pairs and sides."""
    held = session.participants.holding_places()
    trials = Trial.objects.filter(participant__in=held, kind=TrialKind.MAIN)
    shown = Counter(trials.values_list("pair_id", "candidate_side"))
    counts = [shown[pair, side] for contrast in session.study.contrasts.compared()
              for pair in contrast.pairs.values_list("pk", flat=True) for side in Side]
    return max(counts) - min(counts)
