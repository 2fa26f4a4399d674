"""Arrays of torch, JAX and others, told from each other without importing any of these libraries.

A library whose arrays somebody holds is imported already. What shares its memory with NumPy is taken as it is; of
anything else it is told what to write instead.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

#: the number that DLPack has for the memory of the processor
_CPU = 1


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of torch."""
    kind = getattr(sys.modules.get("torch"), "Tensor", None)
    return isinstance(kind, type) and isinstance(value, kind)


def is_jax_array(value: object) -> bool:
    """Whether it is an array of JAX."""
    kind = getattr(sys.modules.get("jax"), "Array", None)
    return isinstance(kind, type) and isinstance(value, kind)


def is_array(value: object) -> bool:
    """Whether it is an array of NumPy or of another library."""
    return (
        isinstance(value, np.ndarray)
        or is_tensor(value)
        or (hasattr(value, "__dlpack__") or hasattr(value, "__cuda_array_interface__"))
    )


def shared_with_numpy(value: Any) -> Any:
    """A NumPy array of the same memory, for what has one that can be written; anything else as it is."""
    if isinstance(value, np.ndarray) or not is_array(value):
        return value
    if is_tensor(value):
        with suppress(TypeError, RuntimeError):  # on another device, or of a kind that NumPy lacks
            return value.detach().numpy()
        return value
    if is_jax_array(value) or not _is_on_cpu(value):
        return value
    with suppress(BufferError, TypeError, RuntimeError, ValueError):
        found = np.from_dlpack(value)
        return found if found.flags.writeable else value
    return value


def library_of(values: Iterable[object]) -> str:
    """The library that any of these arrays is of: "torch", "jax", or "" for NumPy."""
    for value in values:
        if is_tensor(value):
            return "torch"
        if is_jax_array(value):
            return "jax"
    return ""


def of_library(array: Any, library: str) -> Any:
    """A NumPy array as one of this library; a tensor shares its memory."""
    if not isinstance(array, np.ndarray) or array.dtype == object:
        return array
    if library == "torch":
        return sys.modules["torch"].from_numpy(array)
    return sys.modules["jax"].numpy.asarray(array) if library == "jax" else array


def as_numpy(value: Any) -> Any:
    """What the user's code returned, as NumPy has it: tensors without their graph; the rest as it is."""
    if is_tensor(value):
        with suppress(TypeError, RuntimeError):
            return value.detach().cpu().numpy()
    return value.detach() if hasattr(value, "detach") else value  # tensors of others have a graph as well


def all_as_numpy(values: Any) -> Any:
    """The same of a mapping or sequence of arrays, however nested."""
    if isinstance(values, Mapping):
        return {name: all_as_numpy(one) for name, one in values.items()}
    if isinstance(values, (list, tuple)) and not hasattr(values, "_fields"):
        return type(values)(all_as_numpy(one) for one in values)
    return as_numpy(values)


@contextmanager
def compiled_anew() -> Iterator[None]:
    """Around edited code: what JAX has compiled is from the code before, and what it compiles inside must not last."""
    jax = sys.modules.get("jax")
    if jax is None:
        yield
        return
    try:
        jax.clear_caches()
        yield
    finally:
        jax.clear_caches()


def why_not_shared(what: str, value: Any) -> str | None:
    """What is said of an array of another library that cannot be perturbed where it is; None of anything else."""
    if isinstance(value, np.ndarray) or not is_array(value):
        return None
    if is_tensor(value):
        return f"{what} is {_tensor(value)}: {_instead_of_tensor(value)}"
    if is_jax_array(value):
        return (
            f"{what} is a jax.Array, which cannot be changed in place: "
            "write Target.from_function(f, params) with f(params) -> (loss, grads), as jax.value_and_grad returns it"
        )
    kind = f"{type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    if hasattr(value, "__cuda_array_interface__") or not _is_on_cpu(value):
        return (
            f"{what} is a {kind} on another device, and gradcheck perturbs arrays of the CPU: "
            "write Target.from_function(f, params) with NumPy params, f copies them over (cupy.asarray) and returns "
            "the gradients as NumPy arrays (cupy.asnumpy)"
        )
    return (
        f"{what} is a {kind} that NumPy cannot write to: "
        "write w = numpy.from_dlpack(x).copy(), let the loss read w, and pass w"
    )


def _tensor(value: Any) -> str:
    where = "" if value.device.type == "cpu" else f" on {value.device}"
    layout = "" if str(value.layout) == "torch.strided" else f" of layout {value.layout}"
    return f"a torch tensor of dtype {value.dtype} and shape {tuple(value.shape)}{where}{layout}"


def _instead_of_tensor(value: Any) -> str:
    if value.device.type != "cpu":
        return "gradcheck perturbs memory of the CPU; build the module there for the check: module.cpu().double()"
    if str(value.layout) != "torch.strided":
        return "gradcheck perturbs dense tensors; pass .to_dense(), or the values of it"
    return "NumPy has no such numbers; write module.double(), or tensor.to(torch.float64)"


def _is_on_cpu(value: Any) -> bool:
    if hasattr(value, "__cuda_array_interface__"):
        return False
    with suppress(Exception):  # whatever it is, it is not known to be there
        return int(value.__dlpack_device__()[0]) == _CPU
    return False
