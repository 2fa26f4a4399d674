"""Bad input: one clear line, or handled; and whatever happens, every array is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from gradcheck import Report, Target, TargetError, UserCodeError, check
from tests.gradcheck.networks import Rnn, factory, rnn_backward, rnn_forward, sine

Arrays = dict[str, Any]


def frozen() -> Any:
    """A read-only array."""
    array = np.ones(2)
    array.flags.writeable = False
    return array


@contextmanager
def unchanged(*arrays: Any) -> Iterator[None]:
    """Every array is bit for bit the same at the end."""
    before = [array.tobytes() for array in arrays]
    yield
    assert [array.tobytes() for array in arrays] == before


SHARED = np.ones(4)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"w": np.array([1, 2])}, "params['w'] has dtype int64: expected floating point; convert it with .astype"),
        ({"w": np.array([True])}, "params['w'] has dtype bool: expected floating point"),
        ({"w": np.array([1.0, None])}, "params['w'] has dtype object: expected floating point"),
        ({"w": np.array([1j])}, "params['w'] has dtype complex128: expected floating point"),
        ({"w": [1.0, 2.0]}, "params['w'] is list [1.0, 2.0]: expected a floating-point ndarray, as in np.array("),
        ({"w": 1.0}, "params['w'] is float 1.0: expected a floating-point ndarray"),
        ({"w": None}, "params['w'] is NoneType None: expected a floating-point ndarray"),
        ({"w": lambda: [1.0]}, "params['w'] is list [1.0]: expected a floating-point ndarray"),
        ({"w": frozen()}, "params['w'] is read-only, and the checker perturbs it in place: pass a writable copy"),
        ({"w": np.broadcast_to(1.0, 3)}, "params['w'] is read-only"),
        ({"w": np.array([1, np.nan, 2])}, "params['w'] is not finite at 1 of 3 entries, the first nan at (1,)"),
        ({"w": np.array([[1, np.inf]] * 2)}, "params['w'] is not finite at 2 of 4 entries, the first inf at (0, 1)"),
        ({"w": SHARED, "v": SHARED}, "params['w'] and params['v'] share memory, so neither can be perturbed alone"),
        ({"w": SHARED[:3], "v": SHARED[2:]}, "params['w'] and params['v'] share memory"),
        ({"w": SHARED.reshape(2, 2), "v": SHARED[::3]}, "params['w'] and params['v'] share memory"),
        ({}, "params is empty: name at least one array to check"),
        (dict, "params is empty"),
        ([SHARED], "params must be a mapping from names to arrays, got list"),
        (None, "params must be a mapping from names to arrays, got NoneType None"),
    ],
)
def test_parameters_that_cannot_be_perturbed(params: Any, told: str) -> None:
    """A parameter of a wrong kind would end in a NumPy error, or be checked as something that it is not."""
    with pytest.raises(TargetError) as caught:
        Target(params, lambda: 0.0, dict)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def function_of(value: Any) -> Target:
    """A target of this parameter by from_function."""
    return Target.from_function(lambda _: None, {"w": value})


def vjp_of(value: Any) -> Target:
    """A target of this input by from_vjp, to which integers are tokens."""
    return Target.from_vjp(rnn_forward, rnn_backward, {"x": np.ones(2), "w": value})


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (function_of, np.array([1, 2])),
        *((make, value) for make in (function_of, vjp_of) for value in ([1.0, 2.0], np.array([np.nan]), "w", None)),
    ],
)
def test_the_other_ways_in_refuse_them_too(make: Any, value: Any) -> None:
    """A list or a NaN would be taken by from_function or from_vjp."""
    with pytest.raises(TargetError, match=r"params\['w'\] (is|has|holds)"):
        make(value)


# -- what loss() returns -----------------------------------------------------------------------------------------------


def returning(loss: Any) -> tuple[Any, Report]:
    """The report on a loss of sin w made into something else."""
    w = np.array([0.5, 1.0])
    with unchanged(w):
        report = check(Target({"w": w}, lambda: loss(np.sin(w).sum()), lambda: {"w": np.cos(w)}))
    return report.blocks["w"], report


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite(value: float) -> None:
    """NaN would agree with NaN."""
    block, report = returning(lambda _: value)
    assert (report.verdict, block.verdict) == ("wrong", "inconclusive")
    assert f"loss() returned {value}: nothing can be checked" in report.laws["finite"].message


def test_a_complex_loss() -> None:
    """The imaginary part would be dropped in silence."""
    block, report = returning(lambda loss: complex(loss))
    assert (report.verdict, block.verdict) == ("wrong", "inconclusive")
    assert "complex number" in report.laws["scalar"].message
    assert "return its real part" in report.laws["scalar"].message


def test_a_loss_that_is_an_array_of_one_number() -> None:
    """A loss that NumPy code often returns would end the check, or pass in silence."""
    block, report = returning(lambda loss: np.array([[loss]]))
    assert (report.verdict, block.verdict) == ("wrong", "right")
    assert (
        "array of shape (1, 1): expected one float; return it as a float, with .item()" in report.laws["scalar"].message
    )


@pytest.mark.parametrize("value", [np.ones(3), None, "0.5", [0.5, 0.5], {}])
def test_a_loss_that_is_no_number(value: Any) -> None:
    """A loss of another type would end in an error of ours."""
    block, report = returning(lambda _: value)
    assert (report.verdict, block.verdict) == ("wrong", "inconclusive")
    assert not report.laws["scalar"].holds


@pytest.mark.parametrize("function", ["loss", "grads", "reset", "params"])
@pytest.mark.parametrize(
    "error", [ZeroDivisionError("division by zero"), SystemExit(3), np.linalg.LinAlgError("Singular matrix")]
)
def test_code_that_raises_is_quoted(function: str, error: BaseException) -> None:
    """The user would see our traceback instead of the place in their file, or their program would end."""

    def fail() -> Any:
        raise error

    w = np.ones(2)
    keywords: Arrays = {"params": {"w": w}, "loss": lambda: w.sum(), "grads": lambda: {"w": w}, "reset": None}
    with unchanged(w), pytest.raises(UserCodeError) as caught:
        check(Target(**{**keywords, function: fail}))
    assert str(caught.value).startswith(f"{function}() raised {type(error).__name__}: {error} (")
    assert "test_bad_input.py:" in caught.value.place
    assert "gradcheck/_" not in caught.value.traceback_text
    assert "raise error" in caught.value.traceback_text
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("call", [1, 2, 7, 15, 16])
def test_a_loss_that_raises_in_the_middle(call: int) -> None:
    """A loss that fails at a perturbed point would leave it perturbed."""
    model = Rnn(np.random.default_rng(0))
    with (
        unchanged(*model.params.values(), *model.inputs.values()),
        pytest.raises(UserCodeError, match=r"loss\(\) raised OSError"),
    ):
        check(interrupted(model, OSError, call).real_target())


def test_a_loss_that_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """A print in the loss would come a thousand times, or spoil the report's JSON on standard output."""
    w = np.ones(3)
    assert check(Target({"w": w}, lambda: print("loss") or np.sin(w).sum(), lambda: {"w": np.cos(w)})).ok
    assert capsys.readouterr().out == "loss\n"


# -- what grads() returns ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grads", "law", "told"),
    [
        ({}, "names", "grads() has no entry for w"),
        ({"W": np.ones(2)}, "names", "no entry for w and an entry for W, which is not among the parameters (w)"),
        ({"w": np.ones(3)}, "shapes", "w: its gradient has shape (3,), expected (2,) as the parameter"),
        ({"w": np.ones((2, 1))}, "shapes", "w: its gradient has shape (2, 1), expected (2,)"),
        ({"w": None}, "shapes", "w: its gradient is NoneType, not an array of real numbers"),
        ({"w": np.array([1.0, np.nan])}, "finite", "is not finite at 1 of 2 entries, the first nan at (1,)"),
        ({"w": np.array([-np.inf, 1.0])}, "finite", "is not finite at 1 of 2 entries, the first -inf at (0,)"),
        ({1.0}, "names", "grads() returned set: expected a mapping"),
        (None, "names", "grads() returned NoneType: expected a mapping"),
    ],
)
def test_gradients_that_cannot_be_compared(grads: Any, law: str, told: str) -> None:
    """A gradient of another structure would end in an error of ours instead of a finding."""
    w = np.array([0.5, 1.0])
    with unchanged(w):
        report = check(Target({"w": w}, lambda: np.sin(w).sum(), lambda: grads))
    assert report.verdict == report.blocks["w"].verdict == "wrong"
    assert told in report.laws[law].message
    assert [finding.kind for finding in report.findings] == [f"law:{law}", "structure"]


def test_an_extra_name_spoils_nothing_else() -> None:
    """A gradient too many would pass, or hide the verdict on the others."""
    w = np.array([0.5, 1.0])
    report = check(Target({"w": w}, lambda: np.sin(w).sum(), lambda: {"w": np.cos(w), "v": w}))
    assert (report.verdict, report.blocks["w"].verdict, list(report.blocks)) == ("wrong", "right", ["w"])


def test_one_bad_gradient_leaves_the_others_judged() -> None:
    """One misshapen gradient would end the check of all."""
    model = Rnn(np.random.default_rng(0))
    original = model.grads
    model.grads = lambda: {**original(), "b": np.array(1.0)}
    verdicts = {name: block.verdict for name, block in check(model.target()).blocks.items()}
    assert verdicts == {"h0": "right", "W": "right", "U": "right", "b": "wrong", "V": "right"}


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sizes", "told"), [({"K": 2}, "has no size 'K'"), ({"T": -1}, "size T=-1: expected an int")])
def test_sizes_that_cannot_be(sizes: Any, told: str) -> None:
    """An unknown or negative size would be ignored, or end in the user's own code."""
    with pytest.raises(TargetError, match=told) as caught:
        factory().with_sizes(**sizes)
    assert "\n" not in str(caught.value)


# -- arrays of every kind ----------------------------------------------------------------------------------------------

LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "Fortran-ordered": lambda a: np.asfortranarray(a),
    "every second": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "reversed": lambda a: a[::-1, ::-1],
    "transposed": lambda a: a.T.copy().T,
    "a view of a fused array": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "big-endian": lambda a: a.astype(">f8"),
    "long": lambda a: a.astype(np.longdouble),
}


@pytest.mark.parametrize("kind", ["target", "real_target", "function_target"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_of_every_layout(layout: str, kind: str) -> None:
    """A parameter that is not contiguous would be perturbed in a copy, or restored in another order."""
    model = Rnn(np.random.default_rng(0))
    model.params = {name: LAYOUTS[layout](a) if a.ndim == 2 else a for name, a in model.params.items()}
    arrays = dict(model.params)
    with unchanged(*arrays.values()):
        assert check(getattr(model, kind)(), full=True).ok
    assert kind == "function_target" or all(model.params[name] is array for name, array in arrays.items())


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("wrong", [False, True])
def test_a_scalar_parameter(wrong: bool, full: bool) -> None:
    """A 0-d parameter, as a temperature, could not be checked."""
    params = {"a": np.array(0.7), "w": np.array([0.5, 1.0])}
    target = Target(
        params,
        lambda: np.sin(params["a"] * params["w"]).sum(),
        lambda: {
            "a": float((np.cos(params["a"] * params["w"]) * params["w"]).sum()) * (2 if wrong else 1),
            "w": np.cos(params["a"] * params["w"]) * params["a"],
        },
    )
    with unchanged(*params.values()):
        report = check(target, full=full)
    assert report.ok is not wrong
    assert report.blocks["a"].shape == ()
    if wrong:
        assert report.blocks["a"].worst.index == ()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_an_empty_parameter_is_vacuous(alone: bool, full: bool) -> None:
    """An empty parameter would end in a reduction over nothing, or count as verified."""
    params = {"empty": np.zeros((0, 3))} | ({} if alone else {"w": np.ones(2)})
    report = check(
        Target(
            params,
            lambda: 1.0 + sum(np.sin(a).sum() for a in params.values()),
            lambda: {n: np.cos(a) for n, a in params.items()},
        ),
        full=full,
    )
    assert report.verdict == report.blocks["empty"].verdict == "vacuous"
    assert "no entries" in report.blocks["empty"].message
    assert alone or report.blocks["w"].verdict == "right"


@pytest.mark.parametrize("name", ["", "W_xh", "a b", "é", "[0]", "U|V"])
def test_names_of_every_kind(name: str) -> None:
    """A name that is no identifier would break a direction's seed or the report."""
    params = {name: np.ones(2)}
    report = check(Target(params, lambda: np.sin(params[name]).sum(), lambda: {name: np.cos(params[name])}))
    assert report.blocks[name].verdict == "right"
    assert str(report)


def test_names_that_are_no_strings() -> None:
    """A dict with integer keys could not be checked, or not take complex values."""
    params = {0: np.ones(2), 1: np.zeros(3)}
    report = check(
        Target(
            params,
            lambda: sum(np.sin(a).sum() for a in params.values()),
            lambda: {k: np.cos(a) for k, a in params.items()},
        )
    )
    assert report.ok
    assert list(report.blocks) == ["0", "1"]
    assert report.scheme == "complex step"


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def interrupted(model: Rnn, error: type[BaseException], call: int, function: str = "loss") -> Rnn:
    """The model raises at this call of its loss() or grads()."""
    calls = 0
    original = getattr(model, function)

    def counted() -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            raise error
        return original()

    setattr(model, function, counted)
    return model


@pytest.mark.parametrize(
    ("function", "call"),
    [
        ("loss", 1),
        ("loss", 2),
        ("loss", 3),
        ("loss", 5),
        ("loss", 9),
        ("loss", 14),
        ("loss", 20),
        ("loss", 40),
        ("grads", 1),
        ("grads", 2),
        ("grads", 3),
    ],
)
@pytest.mark.parametrize("kind", ["target", "real_target", "function_target"])
def test_ctrl_c_leaves_everything_as_it_was(kind: str, function: str, call: int) -> None:
    """An interrupted check would leave perturbed or complex weights, or other inputs, in the user's model."""
    model = interrupted(Rnn(np.random.default_rng(0)), KeyboardInterrupt, call, function)
    params, inputs = dict(model.params), dict(model.inputs)
    with unchanged(*params.values(), *inputs.values()), pytest.raises(KeyboardInterrupt):
        check(getattr(model, kind)(), full=True)
    assert list(model.inputs.items()) == list(inputs.items())
    if kind != "function_target":
        assert list(model.params) == list(params)
        assert all(model.params[name] is array for name, array in params.items())


@pytest.mark.parametrize("dtype", [np.complex128, np.float64])
def test_ctrl_c_while_other_values_are_in_the_mapping(dtype: Any) -> None:
    """Ctrl-C during a complex step would leave the complex copies in the user's dict."""
    model = Rnn(np.random.default_rng(0), dtype=np.float32)
    params, original = dict(model.params), model.loss

    def loss() -> Any:
        if model.params["W"].dtype == dtype:
            raise KeyboardInterrupt
        return original()

    model.loss = loss
    with unchanged(*params.values()), pytest.raises(KeyboardInterrupt):
        check(model.target())
    assert all(model.params[name] is array for name, array in params.items())


class Rebinding(Rnn):
    """Binds its weights anew at each loss(), as code does that keeps them in a tuple or casts them."""

    def loss(self) -> Any:
        """The same loss of copies."""
        self.params = {name: array.copy() for name, array in self.params.items()}
        return super().loss()


@pytest.mark.parametrize("call", [None, 1, 2, 7, 20])
def test_code_that_binds_its_weights_anew(call: int | None) -> None:
    """The weights that such code holds after a check, or those it held before, would be perturbed ones."""
    model = Rebinding(np.random.default_rng(0))
    first = dict(model.params)
    before = {name: array.tobytes() for name, array in first.items()}
    target = Target(lambda: model.params, lambda: model.loss(), model.grads)
    if call is None:
        assert check(target, full=True).ok
    else:
        interrupted(model, KeyboardInterrupt, call)
        with pytest.raises(KeyboardInterrupt):
            check(target, full=True)
    assert {name: array.tobytes() for name, array in first.items()} == before
    assert {name: array.tobytes() for name, array in model.params.items()} == before


@pytest.mark.parametrize("call", [1, 2, 4, 8, 12])
def test_ctrl_c_in_a_vjp(call: int) -> None:
    """The arrays handed to from_vjp would be perturbed in place."""
    shapes = {"x": (2, 1, 3), "h0": (1, 2), "W": (3, 2), "U": (2, 2), "b": (2,)}
    arrays = {name: np.full(shape, 0.3) for name, shape in shapes.items()}
    calls = []

    def forward(*inputs: Any) -> Any:
        calls.append(1)
        if len(calls) == call:
            raise KeyboardInterrupt
        return rnn_forward(*inputs)

    with unchanged(*arrays.values()), pytest.raises(KeyboardInterrupt):
        check(Target.from_vjp(forward, rnn_backward, arrays))


@pytest.mark.parametrize("bug", ["", "sign", "clip", "transposed"])
@pytest.mark.parametrize("kind", ["target", "real_target"])
def test_a_whole_check_leaves_everything_as_it_was(kind: str, bug: str) -> None:
    """A finished check would leave weights that differ in the last bit."""
    model = Rnn(np.random.default_rng(0), bug=bug)
    params = dict(model.params)
    with unchanged(*params.values(), *model.inputs.values()):
        check(getattr(model, kind)(), full=True)
    assert all(model.params[name] is array for name, array in params.items())


def test_a_seed_of_another_kind_of_integer() -> None:
    """A NumPy integer as a seed would not fit into the report's JSON."""
    assert '"seed": 3' in check(sine(np.ones(2)), seed=np.int64(3)).to_json()


@pytest.mark.parametrize("seed", [-1, 0.5, "3", None])
def test_a_seed_that_is_none(seed: Any) -> None:
    """A mistyped seed would end in an error of NumPy's."""
    with pytest.raises(TargetError, match="expected an integer of at least 0"):
        check(sine(np.ones(2)), seed=seed)


@pytest.mark.parametrize("factor", [3.0, 4.0])
@pytest.mark.parametrize("smallest", [1e-310, 5e-324, 0.0])
def test_parameters_that_are_next_to_nothing(smallest: float, factor: float) -> None:
    """A network whose weights have decayed to nothing would end the check in a division by zero."""
    w = np.array([2.0, -1.0, 3.0]) * smallest
    with unchanged(w):
        report = check(Target({"w": w}, lambda: float((3 * w).sum()), lambda: {"w": np.full(3, factor)}))
    assert report.verdict == ("right" if factor == 3.0 else "wrong")
    assert not any("low precision" in note for note in report.notes)


@pytest.mark.parametrize("factor", [2.0, 3.0])
def test_a_loss_that_is_next_to_nothing(factor: float) -> None:
    """A loss among the smallest numbers there are would end in an error, or hide a factor."""
    w = np.array([2.0, -1.0, 3.0])
    report = check(
        Target({"w": w}, lambda: float((w**2).sum() * 1e-312), lambda: {"w": factor * w * 1e-312}), explain=False
    )
    assert report.verdict == ("right" if factor == 2.0 else "wrong")
