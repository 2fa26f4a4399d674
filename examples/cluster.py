"""A full check and a mutation audit on many machines: on the workers of a Dask cluster, or on the processes of MPI.

On a cluster of Dask that runs already, or on one that is begun for it (`dask scheduler`, `dask worker HOST:8786`)::

    python examples/cluster.py --dask tcp://HOST:8786

On five processes of MPI, one of which hands out the work::

    mpiexec -n 5 python -m mpi4py.futures examples/cluster.py --mpi

The workers import the target's file from the path that it has here: a shared folder, or an installed package. The
reports are those of a run in one process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path

import gradcheck
from gradcheck import MutationReport, Report

#: one BLAS thread in each worker, or they wait for each other; set before NumPy is imported
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")


def audit(factory: gradcheck.TargetFactory, executor: Executor) -> tuple[Report, MutationReport | None]:
    """Every entry of every gradient, then every bug that can be planted; none where the gradients are not right."""
    report = gradcheck.check(factory, full=True, executor=executor)
    return report, gradcheck.mutate(factory, executor=executor) if report.ok else None


@contextlib.contextmanager
def on_dask(address: str) -> Iterator[Executor]:
    """The workers of a Dask cluster."""
    from distributed import Client

    with Client(address) as client, client.get_executor() as executor:
        yield executor


@contextlib.contextmanager
def on_mpi() -> Iterator[Executor]:
    """The other processes that mpiexec has begun."""
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor() as executor:
        yield executor


def main(arguments: Sequence[str] | None = None) -> int:
    """Print both reports; the exit status is that of the check, or 1 if a bug was missed."""
    from gradcheck._common.files import load

    parser = argparse.ArgumentParser(description="A full check and a mutation audit on many machines.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, as in tcp://HOST:8786")
    where.add_argument("--mpi", action="store_true", help="begun by mpiexec -n N python -m mpi4py.futures")
    parser.add_argument(
        "target", nargs="?", metavar="FILE::NAME", default=f"{Path(__file__).parent / 'cs231n_style.py'}::vanilla_rnn"
    )
    options = parser.parse_args(arguments)
    for variable in THREADS:
        os.environ.setdefault(variable, "1")
    file, _, name = options.target.partition("::")
    factory = getattr(load(file), name)
    with on_mpi() if options.mpi else on_dask(options.dask) as executor:
        report, mutations = audit(factory, executor)
    print(report)
    if mutations is None:
        return report.exit_status
    print(mutations)
    return 1 if mutations.survived else 0


if __name__ == "__main__":
    raise SystemExit(main())
