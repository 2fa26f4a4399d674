"""Arrays of other libraries: shared with NumPy, handed over as they are, or refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target, TargetError
from gradcheck._common.libraries import as_numpy, is_array, library_of, of_library, shared_with_numpy, why_not_shared


class OnCpu:
    """An array of a library that nobody knows, in memory that NumPy can share."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array

    def __dlpack__(self, **keywords: Any) -> Any:
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class OnDevice:
    """An array on a GPU, as CuPy has it."""

    __cuda_array_interface__: Any = {"shape": (2,)}  # noqa: RUF012 - as CuPy has it

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("on another device")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0


def target_of(array: Any) -> Target:
    """A target whose one parameter it is."""
    return Target({"W": array}, lambda: 0.0, dict)


def test_numpy_has_no_library() -> None:
    """Code in NumPy would be handed arrays of another library."""
    array = np.ones(2)
    assert is_array(array)
    assert shared_with_numpy(array) is array
    assert as_numpy(array) is array
    assert library_of([array]) == ""
    assert of_library(array, "") is array
    assert why_not_shared("W", array) is None


def test_an_array_in_shared_memory_is_perturbed_where_it_is() -> None:
    """A copy would be perturbed, which the loss never reads."""
    array = np.arange(3.0)
    target = target_of(OnCpu(array))
    target.problem.write({"W": np.full(3, 7.0)})
    assert array.tolist() == [7.0] * 3


def test_an_array_that_is_read_only_is_refused_with_what_to_write() -> None:
    """The checker would fail in the middle of a check, or write into constants."""
    array = np.arange(3.0)
    array.flags.writeable = False
    with pytest.raises(TargetError, match=r"OnCpu that NumPy cannot write to.*numpy\.from_dlpack\(x\)\.copy\(\)"):
        target_of(OnCpu(array))


def test_an_array_on_a_device_is_refused_with_what_to_write() -> None:
    """A user of CuPy would read an error from inside NumPy."""
    with pytest.raises(TargetError) as caught:
        target_of(OnDevice())
    said = str(caught.value)
    assert "\n" not in said
    assert "OnDevice on another device" in said
    assert "Target.from_function(f, params)" in said
    assert "cupy.asnumpy" in said


def test_an_array_on_a_device_is_refused_as_an_input_too() -> None:
    """Inputs would be left unmoved, and the law that the loss depends on them be broken."""
    with pytest.raises(TargetError, match="on another device"):
        Target({"W": np.ones(1)}, lambda: 0.0, dict, inputs={"x": OnDevice()})


@pytest.mark.oracle
def test_tensors_that_numpy_lacks_are_refused_with_what_to_write() -> None:
    """The representation of the tensor would be printed, and no word on what to do."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
    with pytest.raises(TargetError, match=r"dtype torch\.bfloat16 and shape \(2,\).*module\.double\(\)"):
        target_of(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(TargetError, match=r"on meta.*module\.cpu\(\)"):
        target_of(torch.ones(2, device="meta"))
    with pytest.raises(TargetError, match=r"of layout torch\.sparse_coo.*\.to_dense\(\)"):
        target_of(torch.ones(2).to_sparse())


@pytest.mark.oracle
def test_an_array_of_jax_cannot_be_perturbed_in_place() -> None:
    """A copy would be perturbed, which the loss never reads."""
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed: pip install 'gradcheck[jax]'")
    with pytest.raises(TargetError, match=r"jax\.Array, which cannot be changed in place.*Target\.from_function"):
        target_of(jnp.ones(2))


@pytest.mark.oracle
def test_pure_functions_are_handed_arrays_of_the_library_of_their_inputs() -> None:
    """Code with methods of tensors would be handed arrays that lack them."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
    seen: list[Any] = []

    def forward(x: Any) -> Any:
        seen.append(x)
        return x.sin(), x

    target = Target.from_vjp(forward, lambda dy, x: (dy * x.cos(),), [torch.ones(2, dtype=torch.float64)])
    target.draw_cotangents(np.random.default_rng(0))
    gradients = target.grads_at(target.values())
    assert all(isinstance(one, torch.Tensor) for one in seen)
    expected = np.cos(1) * target.problem.cotangents[0]  # type: ignore[attr-defined]
    assert np.allclose(as_numpy(gradients["inputs[0]"]), expected)
