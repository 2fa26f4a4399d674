"""Does anything of the user's get lost? Faults at random moments, and what is there afterwards.

``python benchmarks/fuzz.py`` tries some hundred faults in a few minutes, ``--quick`` a few of each kind, ``--rounds N``
as many as you like; ``--seed`` draws others; naming kinds runs these alone. The kinds:

- interrupts: Ctrl-C at a random moment of a check that looks for lines, in this process.
- errors: the user's loss raises at a random call.
- threads: several checks at once, of the same functions; each has to say what it says alone.
- workers: a worker process is killed at a random moment of a full check.
- parents: the command is killed at a random moment; no worker may outlive it.
- edits: somebody saves the file at a random moment while ``check --fix`` runs.
- disk: files cannot grow beyond a random size while fixes, patches and pages are written.
- output: standard output is full, closed, or nobody reads it.

After each fault everything has to be as it was: arrays bit for bit, functions, `sys` and NumPy, files on the disk; and
a check has to say what it said before. Anything else is printed, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from fuzz_target import WRONG_LINE, layer, layer_backward, layer_forward, wide
from tables import markdown

import gradcheck

#: the file that is mended
SOURCE = Path(__file__).with_name("fuzz_target.py").read_bytes()
MENDED = SOURCE.replace(WRONG_LINE.encode(), WRONG_LINE.replace("1 + h**2", "1 - h**2").encode())
#: seconds after which a process counts as hanging
PATIENCE = 120


def main() -> int:
    """Try the faults, print a table; 1 if anything was lost."""
    options = _options()
    rows, lost = [], 0
    for name in options.kinds or KINDS:
        kind, share = KINDS[name]
        rounds = max(1, 1 if options.quick else round(share * options.rounds))
        rng, started, found = random.Random(f"{options.seed} {name}"), time.perf_counter(), []
        for number in range(rounds):
            found += [f"{name} {number}: {one}" for one in kind(rng)]
        lost += len(found)
        rows.append([name, str(rounds), str(len(found)), f"{time.perf_counter() - started:.0f}"])
        print(*found, sep="\n", end="\n" * bool(found), flush=True)
    print(markdown(["fault", "tried", "lost or changed", "seconds"], rows))
    tried = sum(int(row[1]) for row in rows)
    print(f"{tried} faults were tried; {f'{lost} things were lost or changed' if lost else 'nothing was lost'}")
    return 1 if lost else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--rounds", type=int, default=100, metavar="N", help="faults of the cheapest kind")
    parser.add_argument("--quick", action="store_true", help="one fault of each kind")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    return parser.parse_args()


# -- in this process ---------------------------------------------------------------------------------------------------


def _process_state() -> dict[str, Any]:
    """What belongs to the whole process, and the functions that are checked."""
    return {
        "standard output": sys.stdout,
        "standard error": sys.stderr,
        "profiler": sys.getprofile(),
        "tracer": sys.gettrace(),
        "import path": list(sys.path),
        "warnings": list(warnings.filters),
        "how warnings are shown": warnings.showwarning,
        "np.empty": np.empty,
        "np.empty_like": np.empty_like,
        "np.geterr": np.geterr(),
        "code": (layer_forward.__code__, layer_backward.__code__),
    }


def _said(seed: int) -> dict[str, Any]:
    return {**gradcheck.check(layer, seed=seed).to_dict(), "seconds": 0.0}


_ALONE: dict[int, dict[str, Any]] = {}


def _said_alone(seed: int) -> dict[str, Any]:
    if seed not in _ALONE:
        _ALONE[seed] = _said(seed)
    return _ALONE[seed]


def _changes(before: dict[str, Any], arrays: dict[str, Any], kept: dict[str, bytes]) -> Iterator[str]:
    """What is not as it was."""
    for name, value in _process_state().items():
        if value != before[name]:
            yield f"{name} changed: {before[name]!r} -> {value!r}"
    for name, array in arrays.items():
        if array.tobytes() != kept[name]:
            yield f"array {name} changed"
    if _said(0) != _said_alone(0):
        yield "a check says something else than before"


def _interrupts(rng: random.Random) -> Iterator[str]:
    _said_alone(0)
    started = time.perf_counter()
    _said(0)
    usual = time.perf_counter() - started
    made = layer.build(0, layer.sizes)
    arrays = dict(made.problem.arrays())
    before, kept = _process_state(), {name: array.tobytes() for name, array in arrays.items()}

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, usual))
        gradcheck.check(made)
    except KeyboardInterrupt:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    yield from _changes(before, arrays, kept)


def _errors(rng: random.Random) -> Iterator[str]:
    _said_alone(0)
    made = layer.build(0, layer.sizes)
    problem: Any = made.problem
    arrays, left, loss = dict(problem.arrays()), rng.randrange(1, 400), problem.loss
    before, kept = _process_state(), {name: array.tobytes() for name, array in arrays.items()}
    error = rng.choice([MemoryError, RecursionError, SystemExit, KeyboardInterrupt, ZeroDivisionError, OSError])

    def failing() -> Any:
        nonlocal left
        left -= 1
        if not left:
            raise error
        return loss()

    with contextlib.suppress(KeyboardInterrupt, gradcheck.TargetError):
        gradcheck.check(gradcheck.Target(arrays, failing, problem.grads))
    yield from _changes(before, arrays, kept)


def _threads(rng: random.Random) -> Iterator[str]:
    seeds = [rng.randrange(5) for _ in range(6)]
    expected = [_said_alone(seed) for seed in seeds]
    before = _process_state()
    with ThreadPoolExecutor(len(seeds)) as pool:
        found = list(pool.map(_said, seeds))
    for seed, one, other in zip(seeds, found, expected, strict=True):
        if one != other:
            yield f"seed {seed} says something else beside other checks"
    yield from _changes(before, {}, {})


def _kill(process: int, delay: float) -> None:
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)


def _workers(rng: random.Random) -> Iterator[str]:
    expected = {**gradcheck.check(wide, full=True).to_dict(), "seconds": 0.0, "notes": []}
    before = _process_state()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool, ThreadPoolExecutor(1) as killer:
        victim, _ = (one.result() for one in [pool.submit(os.getpid) for _ in range(2)])
        killed = killer.submit(_kill, victim, rng.uniform(0.0, 2.0))
        report = gradcheck.check(wide, full=True, executor=pool)
        killed.result()
        with contextlib.suppress(BrokenExecutor):  # Python's own pool waits for ever if it ends before it has noticed
            while True:
                pool.submit(os.getpid).result()
    if {**report.to_dict(), "seconds": 0.0, "notes": []} != expected:
        yield "a check that lost a worker says something else"
    yield from _changes(before, {}, {})


# -- the command -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """A folder with the file, to be mended."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "net.py").write_bytes(SOURCE)
        yield Path(name)


def _started(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"}
    given = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, **options}
    command = [sys.executable, "-m", "gradcheck", "check", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment, **given)


def _leftovers(folder: Path, *known: str) -> Iterator[str]:
    """Files that nobody asked for, and files that hold nothing."""
    for path in folder.iterdir():
        if path.name not in known:
            yield f"{path.name} was left behind"
        elif not path.stat().st_size:
            yield f"{path.name} is empty"


def _parents(rng: random.Random) -> Iterator[str]:
    with _folder() as folder:
        process = _started(folder, "net.py::wide", "--full", "--jobs", "2")
        time.sleep(rng.uniform(0.2, 4.0))
        sent = rng.choice([signal.SIGKILL, signal.SIGTERM])
        process.send_signal(sent)
        try:
            process.communicate(timeout=PATIENCE)  # to the end of standard error, which workers hold open
        except subprocess.TimeoutExpired:
            yield f"workers outlive their parent after {sent.name}"
        yield from _leftovers(folder, "net.py")


def _edits(rng: random.Random) -> Iterator[str]:
    typed = rng.choice([b"# typed meanwhile\n" + SOURCE, SOURCE + b"\n# typed meanwhile\n", SOURCE[:200]])
    with _folder() as folder:
        path = folder / "net.py"
        process = _started(folder, "net.py::layer", "--fix")
        time.sleep(rng.uniform(0.2, 3.0))
        path.write_bytes(typed)
        status = process.wait(PATIENCE)
        now, copies = path.read_bytes(), [one.read_bytes() for one in folder.glob("net.py.orig*")]
        if typed not in (now, *copies) and now != typed.replace(SOURCE, MENDED):
            yield f"what was typed is gone (status {status})"
        if any(copy not in (SOURCE, typed) for copy in copies):
            yield "a copy holds what nobody wrote"
        yield from _leftovers(folder, "net.py", "net.py.orig")


def _disk(rng: random.Random) -> Iterator[str]:
    most = rng.randrange(0, 3 * len(SOURCE))

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    with _folder() as folder:
        (folder / "page.html").write_text("the last page")
        arguments = ["--fix", "--patch", "out.diff", "--html", "page.html"]
        process = _started(folder, "net.py::layer", *arguments, preexec_fn=limit)
        process.communicate(timeout=PATIENCE)
        now = (folder / "net.py").read_bytes()
        if now not in (SOURCE, MENDED):
            yield f"the file is neither what it was nor mended (at most {most} bytes)"
        if now == MENDED and (folder / "net.py.orig").read_bytes() != SOURCE:
            yield "the file as it was is gone"
        if now == SOURCE and (folder / "net.py.orig").exists():
            yield "a copy of nothing was left behind"
        if now == SOURCE and process.returncode == 0:
            yield "the command says that all is mended"
        page = (folder / "page.html").read_text()
        if page != "the last page" and not page.rstrip().endswith("</html>"):
            yield "half a page was written"
        yield from _leftovers(folder, "net.py", "net.py.orig", "out.diff", "page.html")


def _output(rng: random.Random) -> Iterator[str]:
    with _folder() as folder, open("/dev/full", "wb") as full:
        form = rng.choice([[], ["--json"]])
        fault = rng.choice(["full", "closed", "no reader"])
        if fault == "no reader":
            process = _started(folder, "net.py::layer", *form, stdout=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.close()
        elif fault == "full":
            process = _started(folder, "net.py::layer", *form, stdout=full)
        else:
            process = _started(folder, "net.py::layer", *form, stdout=None, preexec_fn=lambda: os.close(1))
        errors = process.communicate(timeout=PATIENCE)[1]
        wanted = 141 if fault == "no reader" else 74
        if process.returncode != wanted or b"Traceback" in errors:
            yield f"standard output is {fault}: status {process.returncode}, {errors[-200:]!r}"


#: each kind, and its share of the rounds
KINDS: dict[str, tuple[Callable[[random.Random], Iterator[str]], float]] = {
    "interrupts": (_interrupts, 1.0),
    "errors": (_errors, 1.0),
    "threads": (_threads, 0.1),
    "workers": (_workers, 0.1),
    "parents": (_parents, 0.2),
    "edits": (_edits, 0.2),
    "disk": (_disk, 0.2),
    "output": (_output, 0.1),
}

if __name__ == "__main__":
    raise SystemExit(main())
