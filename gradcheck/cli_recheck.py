"""The targets of files checked again in a process of their own, as the files are on the disk now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from gradcheck.cli_session import find_subjects, pin_sizes


class Rechecked(NamedTuple):
    """What a check says now, without lines."""

    name: str
    verdict: str
    headline: str
    exit_status: int


def check_again(
    arguments: Sequence[str],
    sizes: list[tuple[str, int]],
    *,
    full: bool | Literal["tape"],
    laws: frozenset[str] | None,
    seed: int,
) -> list[Rechecked]:
    """Check the targets that each FILE or FILE::NAME means, in a process that has imported none of them yet.

    Raises:
        TargetError: If one of them cannot be run.
    """
    from concurrent.futures.process import BrokenProcessPool

    from gradcheck._common.errors import TargetError
    from gradcheck._common.workers import workers

    found: list[Rechecked] = []
    are_several = len({one.partition("::")[0] for one in arguments}) > 1
    with workers(1) as pool:
        for argument in arguments:
            try:
                done = pool.submit(_check_file, argument, sizes, full, laws, seed).result()
            except BrokenProcessPool as error:
                raise TargetError(f"{argument}: the process that checked it again has died") from error
            file = argument.partition("::")[0]
            found += [one._replace(name=f"{file}::{one.name}") for one in done] if are_several else done
    return found


def _check_file(
    argument: str,
    sizes: list[tuple[str, int]],
    full: bool | Literal["tape"],
    laws: frozenset[str] | None,
    seed: int,
) -> list[Rechecked]:
    from gradcheck._checking.check import check
    from gradcheck.report.phrases import headline

    path, _, name = argument.partition("::")
    reports = [
        check(subject, full=full, laws=laws, seed=seed, explain=False)
        for subject in pin_sizes(find_subjects(path, name), path, sizes).values()
    ]
    return [Rechecked(one.name, one.verdict, headline(one), one.exit_status) for one in reports]
