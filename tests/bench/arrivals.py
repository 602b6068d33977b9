"""Let a crowd arrive at a study over HTTP, and look at the plans that it gets.

Uses a data folder and servers of its own: PostgreSQL, Redis, two uvicorn workers.
"""

import sys

from tests.bench.scratch import parser_for, set_up_project, show, two_web_workers

TURNED_AWAY = 10


def main() -> int:
    parser = parser_for(__doc__)
    parser.add_argument("--participants", type=int, default=200)
    parser.add_argument("--within", type=float, default=5.0,
                        help="seconds over which they open the link")
    options = parser.parse_args()
    set_up_project()

    from tests.bench.crowd import arrive, make_crowd_session

    session = make_crowd_session(quota=options.participants)
    with two_web_workers() as site:
        figures = arrive(site, session, participants=options.participants + TURNED_AWAY,
                         within_s=options.within)
    show(figures, is_json=options.json)
    return int(figures["spread"] > 1 or figures["quota_exceeded"] or figures["errors"] > 0)


if __name__ == "__main__":
    sys.exit(main())
