"""The table of coverages, simulated through the functions that compute a study's results."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from studies.analysis import coverage


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("check_coverage", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_headline_covers_where_pooled_intervals_fail() -> None:
    """Expected: the table of a simulation made beforehand; 400 runs leave an error of .011."""
    report = json.loads(run("--runs", "400", "--replicates", "400", "--json"))
    table = {
        # SDs: pooled Wilson, participant t, two-way, plain bootstrap, corrected bootstrap.
        (0.0, 0.0): (0.95, 0.95, 0.97, 0.998, 0.97),
        (0.8, 0.0): (0.64, 0.95, 0.96, 0.97, 0.96),
        (0.8, 0.8): (0.59, 0.89, 0.95, 0.97, 0.95),
        (0.0, 0.8): (0.71, 0.69, 0.95, 0.97, 0.95),
    }
    assert len(report["rows"]) == len(table)
    for row in report["rows"]:
        expected = table[row["sd_participant"], row["sd_prompt"]]
        names = ("pooled_wilson", "participant_t", "two_way", "two_way_bootstrap_plain",
                 "two_way_bootstrap")
        for name, share in zip(names, expected, strict=True):
            error = (share * (1 - share) / 400) ** 0.5
            assert row[name] == pytest.approx(share, abs=4 * error + 0.01), (name, row)
        assert row["type_one_equivalence"] <= coverage.MOST_TYPE_ONE
    assert report["type_one_equivalence"] <= coverage.MOST_TYPE_ONE


def test_table_says_what_was_simulated() -> None:
    said = run("--runs", "100", "--replicates", "100", "--participants", "8", "--prompts", "9")
    assert "8 participants x 9 prompts, 100 studies per row" in said
    assert "0.8 / 0.8" in said


def test_same_seed_gives_the_same_shares() -> None:
    few: dict[str, Any] = {"runs": 20, "replicates": 100, "spreads": ((0.5, 0.5),)}
    first, again, other = (coverage.check_coverage(**few, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_row_off_by_more_than_simulation_error_is_told() -> None:
    row = coverage.CoverageRow(0, 0, 0.9, 0.9, two_way=0.95, two_way_bootstrap_plain=1,
                               two_way_bootstrap=0.92, type_one_equivalence=0.05)
    assert row.is_within_limits(runs=100)
    assert not row.is_within_limits(runs=100_000)


@pytest.mark.parametrize(("option", "said"), [
    ("--runs", "got 20, 30 and 1"), ("--prompts", "got 20, 1 and 2000"),
    ("--replicates", "at least 100 replicates, got 1"),
])
def test_impossible_sizes_are_refused(option: str, said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(option, "1")
