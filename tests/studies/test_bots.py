"""Simulated participants: what they read of a page, and a whole rehearsal through real servers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from studies.desk.bots.crowd import percentiles
from studies.desk.bots.pages import Control, read_page, value_for
from studies.desk.bots.sandbox import make_open_session
from studies.models import Participant

ROOT = Path(__file__).resolve().parent.parent.parent


class TestPages:
    def test_marked_link_is_the_way_on(self) -> None:
        page = read_page('<a class="button" href="/no">No</a><a data-next href="/on">On</a>')
        assert (page.link, page.form) == ("/on", None)

    def test_marked_form_is_the_way_on_beside_another(self) -> None:
        page = read_page('<form method="post" action="/no"></form>'
                         '<form method="post" action="/on" data-next></form>')
        assert page.form
        assert page.form.action == "/on"

    @pytest.mark.parametrize(("html", "link", "has_form"), [
        ('<a href="/x">x</a><a class="button big" href="/on">On</a>', "/on", False),
        ('<a class="button" href="/x">x</a><form method="post"></form>', None, True),
        ('<form method="get"></form>', None, False),
    ])
    def test_page_without_the_mark_has_a_form_or_a_button(
        self, html: str, link: str | None, has_form: bool
    ) -> None:
        page = read_page(html)
        assert (page.link, page.form is not None) == (link, has_form)

    def test_form_is_filled_as_its_markup_allows(self) -> None:
        page = read_page("""
            <form method="post" data-next id="all">
              <input type="hidden" name="secret" value="kept">
              <input type="hidden" name="window_width" value="">
              <input type="checkbox" name="agreed" required>
              <input type="radio" name="hand" value="left">
              <input type="radio" name="hand" value="right">
              <input type="number" name="age" min="18" max="25">
              <input type="text" name="short" maxlength="4">
              <select name="where">
                <option value="">–</option><option value="here">Here</option>
              </select>
              <textarea name="remarks"></textarea>
              <input type="email" name="off" disabled>
              <button name="do" value="go">Go</button><button name="do" value="stop">Stop</button>
            </form>
            <input type="text" name="outside"><input name="joined" form="all" value="5">
        """)
        assert page.form
        assert page.form.filled() == [
            ("secret", "kept"), ("window_width", "1280"), ("agreed", "on"), ("hand", "left"),
            ("age", "25"), ("short", "no r"), ("where", "here"), ("remarks", "no remarks"),
            ("do", "go"), ("joined", "5"),
        ]

    @pytest.mark.parametrize(("attributes", "value"), [
        ({}, "30"), ({"min": "40"}, "40"), ({"max": "7"}, "7"), ({"min": "0", "max": "1"}, "1"),
        ({"value": "3"}, "3"),
    ])
    def test_number_stays_within_its_bounds(self, attributes: dict, value: str) -> None:
        assert value_for(Control("input", {"type": "number", **attributes})) == value
        ours = {name if name == "value" else f"data-{name}": text
                for name, text in attributes.items()}
        assert value_for(Control("input", {"type": "text", "data-number": "", **ours})) == value

    def test_trials_and_code_are_recognised(self) -> None:
        page = read_page('<main data-trials data-next="/next" data-csrf="t"></main>')
        assert page.trials == {"data-trials": "", "data-next": "/next", "data-csrf": "t"}
        assert read_page("<p>Your code: <output> AB<b>C</b> </output></p>").code == "ABC"


def test_percentiles_are_in_milliseconds() -> None:
    # Linear between the ranks, as numpy's: 0 to 100 has them at their own places.
    assert percentiles(range(101)) == {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}
    assert percentiles([]) == {"p50_ms": 0, "p95_ms": 0, "p99_ms": 0}


@pytest.mark.django_db
def test_sandbox_is_open_to_the_crowd_it_is_made_for() -> None:
    session = make_open_session(participants=3, trials=6)
    assert (session.state, session.quota, session.study.main_trials) == ("open", 3, 6)
    assert session.study.is_frozen()


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "manage.py", "bench_participants", *arguments],
                          cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.django_db
def test_crowd_completes_the_way_and_loses_nothing() -> None:
    before = Participant.objects.count()
    done = bench("--participants", "6", "--trials", "5", "--interval", "0", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["acknowledged"], figures["stored"], figures["lost"]) == (30, 30, 0)
    assert (figures["errors"], figures["finished"]) == (0, 6)
    assert 0 < figures["p50_ms"] <= figures["p95_ms"] <= figures["p99_ms"]
    assert figures["answers_per_s"] > 0
    assert figures["peak_mb"] > 0
    assert figures["pages"]["GET /take/*/trials/*/stimulus"]["requests"] == 30
    assert Participant.objects.count() == before  # It has a database of its own.


@pytest.mark.parametrize("wrong", [
    {"participants": 0}, {"trials": 0}, {"interval": -1.0}, {"arrivals_per_s": 0.0},
])
def test_impossible_crowd_is_refused_with_what_is_wrong(wrong: dict[str, float]) -> None:
    with pytest.raises(CommandError, match="expected"):
        call_command("bench_participants", **wrong)
