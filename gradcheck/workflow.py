"""A workflow of GitHub's around this process: whether there is one, and the summary of its step.

Imported with the plugin in every run of pytest, so only the standard library stands at its top.
"""

from __future__ import annotations

import os


def is_workflow() -> bool:
    """Whether GitHub's runner reads what is written."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def append_summary(text: str) -> str:
    """Add to the summary of the step, if there is one; what is to be said if that cannot be done."""
    path = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if path:
        try:
            with open(path, "a", encoding="utf-8", errors="replace") as stream:
                stream.write(f"{text}\n")
        except OSError as error:
            return f"gradcheck: cannot write the summary {path}: {error.strerror}"
    return ""
