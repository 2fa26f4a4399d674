"""Writes gradcheck/report/report.schema.json: the JSON schema of a report."""

from __future__ import annotations

import json
from pathlib import Path

from gradcheck.report.json_schema import report_schema

if __name__ == "__main__":
    path = Path(__file__).parents[1] / "gradcheck" / "report" / "report.schema.json"
    path.write_text(json.dumps(report_schema(), indent=1) + "\n", encoding="utf-8")
