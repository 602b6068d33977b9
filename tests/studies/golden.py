"""Golden values of statistics, each with its source in tests/golden/statistics.json."""

import json
from pathlib import Path
from typing import Any

_CASES = json.loads((Path(__file__).parent.parent / "golden" / "statistics.json").read_text())


def golden(case_id: str) -> dict[str, Any]:
    (case,) = [case for case in _CASES["cases"] if case["id"] == case_id]
    return dict(case)
