import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from studies.analysis import coverage
from studies.analysis.coverage import CoverageRow

_COLUMNS = (
    ("pooled_wilson", "pooled Wilson"), ("participant_t", "participant t"),
    ("two_way", "two-way"), ("two_way_bootstrap_plain", "bootstrap, plain"),
    ("two_way_bootstrap", "corrected"), ("type_one_equivalence", "type I, equivalence"),
)


class Command(BaseCommand):
    help = ("Simulate crossed studies and show what share of each 95% interval holds the true "
            "rate. Fails if the headline, the corrected bootstrap or the equivalence test is off.")

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--runs", type=int, default=coverage.RUNS,
                            help="Simulated studies per row.")
        parser.add_argument("--replicates", type=int, default=coverage.REPLICATES,
                            help="Of the bootstrap.")
        parser.add_argument("--participants", type=int, default=20)
        parser.add_argument("--prompts", type=int, default=30)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--json", action="store_true", help="Write JSON instead of a table.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rows = coverage.check_coverage(
                num_participants=options["participants"], num_prompts=options["prompts"],
                runs=options["runs"], replicates=options["replicates"], seed=options["seed"],
                progress=lambda done, total: self.stderr.write(f"{done} of {total} rows"),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_as_json(rows, options) if options["json"] else _as_table(rows, options))
        if off := [row for row in rows if not row.is_within_limits(runs=options["runs"])]:
            raise CommandError(f"{len(off)} of {len(rows)} rows lie outside the limits by more "
                               "than simulation error.")


def _as_json(rows: list[CoverageRow], options: dict[str, Any]) -> str:
    settings = {name: options[name]
                for name in ("participants", "prompts", "runs", "replicates", "seed")}
    return json.dumps({
        **settings, "confidence": 0.95, "true_rate": 0.5, "margin": coverage.MARGIN,
        "limits": coverage.LIMITS, "most_type_one": coverage.MOST_TYPE_ONE,
        "type_one_equivalence": max(row.type_one_equivalence for row in rows),
        "rows": [asdict(row) for row in rows],
    }, indent=2)


def _as_table(rows: list[CoverageRow], options: dict[str, Any]) -> str:
    head = ["SD participant / prompt", *(label for _, label in _COLUMNS)]
    lines = ["  ".join(head)]
    for row in rows:
        name = f"{row.sd_participant:g} / {row.sd_prompt:g}"
        cells = [f"{getattr(row, field):.3f}".rjust(len(label)) for field, label in _COLUMNS]
        lines.append("  ".join([name.ljust(len(head[0])), *cells]))
    low, high = coverage.LIMITS
    return "\n".join([
        f"{options['participants']} participants x {options['prompts']} prompts, "
        f"{options['runs']} studies per row, true rate 50%: what share of 95% intervals holds it.",
        "", *lines, "",
        f"Two-way and corrected should lie from {low:.1%} to {high:.1%}; the error of the "
        f"equivalence test at its margin of {coverage.MARGIN:.0%} at most at "
        f"{coverage.MOST_TYPE_ONE:.1%}.",
    ])
