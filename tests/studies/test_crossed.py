"""Numbering trials: any labels, no missing answers, and a million in about a second."""

import uuid

import numpy as np
import pytest

from studies.analysis.clustered import clustered_rate
from studies.analysis.crossed import cross, number_clusters


def test_labels_of_any_kind_are_numbered_by_first_appearance() -> None:
    people = [uuid.UUID(int=7), uuid.UUID(int=1), uuid.UUID(int=7)]
    assert number_clusters(people)[0].tolist() == [0, 1, 0]
    assert number_clusters(np.array(["b", "a", "b", "c"]))[0].tolist() == [0, 1, 0, 2]
    assert number_clusters([])[1] == 0


def test_cells_are_pairs_of_participant_and_prompt() -> None:
    trials = cross([True] * 5, [1, 1, 2, 2, 1], prompts=["x", "y", "x", "x", "x"])
    assert trials.cells().tolist() == [0, 1, 2, 2, 0]
    assert (trials.num_participants, trials.num_prompts) == (2, 2)


@pytest.mark.parametrize(("chosen", "quoted"), [
    ([1.0, float("nan")], "nan"), ([0, 2], "2"), (["yes", "no"], "yes"), ([True, None], "None"),
])
def test_what_is_no_choice_is_quoted(chosen: list, quoted: str) -> None:
    with pytest.raises(ValueError, match=f"true or false, got {quoted}"):
        cross(chosen, [1, 2], prompts=[1, 2])


def test_million_answers_agree_with_the_table_of_their_sums() -> None:
    random = np.random.default_rng(0)
    table = random.random((1000, 1000)) < random.uniform(0.2, 0.6, (1000, 1))
    found = clustered_rate(table.ravel(), np.repeat(np.arange(1000), 1000),
                           prompts=np.tile(np.arange(1000), 1000))
    rest = table - table.mean()
    people, prompts = ((rest.sum(axis=axis) ** 2).sum() * 1000 / 999 for axis in (1, 0))
    variance = max(people + prompts - (rest**2).sum(), people, prompts) / 1e12
    assert found.standard_error == pytest.approx(variance**0.5, rel=1e-9)
