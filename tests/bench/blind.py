"""Fetch trials as participants do, and try to find out what they must not know.

Looks for secrets in every byte sent, and has a classifier guess the candidate's side from
everything but the pixels. Uses a data folder and servers of its own.
"""

import math
import sys

from tests.bench.scratch import parser_for, set_up_project, show, two_web_workers

# Of a participant: 2 for practice, 20 main, 2 catch trials, 2 repeats.
TRIALS_EACH = 26
LOW, HIGH = 0.45, 0.55


def main() -> int:
    parser = parser_for(__doc__)
    parser.add_argument("--trials", type=int, default=2000, help="at least so many")
    options = parser.parse_args()
    participants = math.ceil(options.trials / TRIALS_EACH)
    set_up_project()

    from tests.bench.guessing import guess
    from tests.bench.observing import leaks_in, make_secretive_session, secrets_of, watch

    session = make_secretive_session(participants=participants)
    with two_web_workers() as site:
        sightings = watch(site, session, participants=participants)
    observations = sightings.observations
    seen, groups = [each.seen for each in observations], [each.participant for each in observations]
    leaks = leaks_in(sightings.exchanges, secrets_of(session))
    figures = {
        "trials": len(observations), "participants": participants,
        "requests": len(sightings.exchanges),
        "megabytes": sum(len(exchange.body) for exchange in sightings.exchanges) / 1e6,
        "leaks": leaks,
        "auc_side": guess(seen, [each.side == "left" for each in observations], groups=groups),
        # For information: how large a file is depends on its image, and catch images are noisy.
        "auc_catch": guess(seen, [each.kind == "catch" for each in observations], groups=groups),
    }
    show(figures, is_json=options.json)
    return int(bool(leaks) or not LOW <= figures["auc_side"] <= HIGH)


if __name__ == "__main__":
    sys.exit(main())
