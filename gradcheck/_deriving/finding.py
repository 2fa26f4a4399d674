"""Which target a name on the command line means: a target, or a function that the loss of one runs."""

from __future__ import annotations

from gradcheck._common.errors import TargetError
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.profiling import functions_run


def find_derivable(
    subjects: dict[str, Target | TargetFactory], path: str, name: str, seed: int
) -> dict[str, Target | TargetFactory]:
    """The target of this name, or the first one whose loss runs the function of this name; all if there is no name.

    Raises:
        TargetError: If there is neither.
    """
    if not name:
        return subjects
    if name in subjects:
        return {name: subjects[name]}
    for key, subject in subjects.items():
        target = target_of(subject, seed)
        with opened(target, seed):
            base = target.values()
            codes = functions_run(lambda target=target, base=base: target.loss_at(base))  # type: ignore[misc]
        if any(name in (code.co_name, code.co_qualname) for code in codes):
            return {key: subject}
    raise TargetError(
        f"{path} has no target {name!r}, and no loss of a target there runs a function of that name; "
        f"its targets are {', '.join(subjects)}"
    )
