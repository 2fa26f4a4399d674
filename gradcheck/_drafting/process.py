"""Drafts are tried in a process of their own: code that waits, crashes or never ends does so there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from gradcheck._common.errors import TargetError
from gradcheck._drafting.drafting import LIMIT, Drafted, drafted
from gradcheck._drafting.outline import outline
from gradcheck._drafting.reading import Reading
from gradcheck._drafting.writing import file_text

#: what a process may take besides the trials: to begin, and to end the last one
GRACE = 20.0


def drafted_apart(file: Path, output: Path, limit: float = LIMIT) -> Drafted:
    """A target file for the code in a file, from a process that may not live longer than this.

    Raises:
        TargetError: If the file cannot be read.
    """
    reading = Reading.of(file)  # what is wrong with it is told here
    command = [sys.executable, "-c", "from gradcheck._drafting.process import main; main()", str(file), str(output)]
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    try:
        done = subprocess.run(
            [*command, str(limit)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            timeout=limit + GRACE,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        left = outline(reading, f"its code did not end, or ended the process: {type(error).__name__}")
        return Drafted(file_text(reading, output, [left]), (left.subject,), False)
    if "error" in found:
        raise TargetError(found["error"])
    return Drafted(found["text"], tuple(found["subjects"]), found["runs"], tuple(found["missing"]))


def main() -> None:
    """In the process: the draft as one line of JSON on standard output, which nobody else writes to."""
    file, output, limit = sys.argv[1:]
    real = os.dup(1)
    os.dup2(2, 1)
    try:
        found = drafted(Path(file), Path(output), float(limit))
        answer = {"text": found.text, "subjects": found.subjects, "runs": found.runs, "missing": found.missing}
    except TargetError as error:
        answer = {"error": str(error)}
    os.write(real, (json.dumps(answer) + "\n").encode())
