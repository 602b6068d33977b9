"""A crowd at the door, over HTTP. `python -m tests.bench.arrivals` does it with 200 people."""

from tests.bench.crowd import arrive, make_crowd_session


def test_crowd_gets_balanced_plans_and_never_more_than_the_quota(site: str) -> None:
    session = make_crowd_session(quota=18, num_pairs=6, main_trials=5)
    found = arrive(site, session, participants=24, within_s=0)
    assert (found["started"], found["refused"], found["errors"]) == (18, 6, 0)
    assert not found["quota_exceeded"]
    assert found["spread"] <= 1
