"""Factories: which sizes they are tried at, and the way down to the smallest that fails."""

# ruff: noqa: ARG001, ARG005  # a factory takes rng and sizes, whether it uses them or not

from __future__ import annotations

import functools
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcheck
from gradcheck import Target, TargetError, TargetFactory, UserCodeError
from gradcheck._targets.factory import find_factory
from tests.gradcheck import networks
from tests.gradcheck.networks import factory, sine


def of(**defaults: int) -> TargetFactory:
    """A factory with these sizes."""
    names = ", ".join(f"{name}={value}" for name, value in defaults.items())
    scope: dict[str, Any] = {"sine": sine, "np": np}
    exec(f"def made(rng, *, {names}): return sine(np.ones(2))", scope)
    scope["made"].__module__ = __name__
    return TargetFactory(scope["made"])


def test_the_sizes_are_the_keyword_only_integers() -> None:
    """Options that are no sizes would be varied, or sizes left alone."""

    @gradcheck.target
    def made(
        rng: Any, plain: int = 3, *, T: int = 4, flag: bool = True, rate: float = 0.5, kind: str = "a", B: int = 2
    ) -> Any:
        """What it is.

        And more.
        """

    assert made.sizes == made.defaults == {"T": 4, "B": 2}
    assert (made.name, made.__name__, made.doc) == ("made", "made", "What it is.")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: None, "takes rng as its first argument"),
        (lambda *, rng: None, "takes rng as its first argument"),
        (lambda rng, T: None, "argument 'T' has no default"),
        (lambda rng, *, T: None, "argument 'T' has no default"),
    ],
)
def test_a_factory_of_another_form_is_refused_at_once(make: Any, told: str) -> None:
    """A factory that cannot be called would be noticed at the first check."""
    with pytest.raises(TargetError, match=told):
        gradcheck.target(make)


def test_a_factory_may_take_anything_else() -> None:
    """A factory with **options would be refused."""
    assert gradcheck.target(lambda rng, *args, T=2, **options: None).sizes == {"T": 2}


def test_calling_the_factory_calls_the_function() -> None:
    """The decorator would hide the user's own function."""
    made = factory()(np.random.default_rng(0), T=2)
    assert made.values()["W"].shape == (5, 4)


def test_the_same_seed_builds_the_same_target() -> None:
    """A check could not be repeated."""
    made = factory()
    first, again, other = (made.build(seed, made.sizes).values()["W"] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_target_without_a_name_gets_the_factorys() -> None:
    """The report would be of a target without a name."""
    assert factory().build(0, factory().sizes).name == "network"
    named = TargetFactory(lambda rng: sine(np.ones(2), name="mine"))
    assert named.build(0, {}).name == "mine"


def test_a_factory_that_returns_something_else() -> None:
    """A forgotten return would end in an AttributeError of ours."""
    with pytest.raises(TargetError, match=r"must return a gradcheck.Target, got NoneType"):
        TargetFactory(lambda rng: None).build(0, {})


def test_a_factory_that_raises_is_quoted_with_its_call() -> None:
    """The user would not know at which sizes the factory failed."""

    def made(rng: Any, *, T: int = 3) -> Any:
        raise ValueError("T must be even")

    with pytest.raises(UserCodeError, match=r"made\(rng, T=3\) raised ValueError: T must be even .*test_factory.py"):
        TargetFactory(made).build(0, {"T": 3})


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ({"Q": 3}, "network has no size 'Q'; its sizes are T, B, D, H"),
        ({"T": 0}, "size T=0: expected an integer of at least 1"),
        ({"T": -2}, "size T=-2: expected an integer of at least 1"),
        ({"T": 2.5}, "size T=2.5: expected an integer of at least 1"),
        ({"T": "3"}, "size T=3: expected an integer of at least 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(sizes: Any, told: str) -> None:
    """A misspelt or impossible size would be ignored, or passed on to the user's code."""
    with pytest.raises(TargetError) as caught:
        factory().with_sizes(**sizes)
    assert str(caught.value) == told


def test_a_factory_without_sizes_says_so() -> None:
    """The message would end in an empty list."""
    with pytest.raises(TargetError, match="its sizes are none at all"):
        TargetFactory(lambda rng: None).with_sizes(T=2)


def test_pinned_sizes_are_kept() -> None:
    """A size asked for on the command line would be varied all the same, or be a NumPy number in the report."""
    pinned = factory().with_sizes(T=np.int64(7)).with_sizes(B=1)
    assert pinned.sizes == {"T": 7, "B": 1, "D": 5, "H": 4}
    assert type(pinned.sizes["T"]) is int
    assert pinned.defaults["T"] == 3
    assert all(sizes["T"] == 7 and sizes["B"] == 1 for sizes in pinned.other_sizes())
    assert pinned.shrink({**pinned.sizes, "D": 3}, lambda _: True) == {"T": 7, "B": 1, "D": 1, "H": 1}


def test_the_sweep() -> None:
    """One of the small sizes at which bugs hide or show would not be tried, or one be tried twice."""
    assert list(of(T=4, B=2).other_sizes()) == [
        {"T": 1, "B": 2},
        {"T": 2, "B": 2},
        {"T": 3, "B": 2},
        {"T": 4, "B": 1},
        {"T": 4, "B": 3},
        {"T": 5, "B": 3},
    ]
    assert list(TargetFactory(lambda rng: None).other_sizes()) == []


@given(st.dictionaries(st.sampled_from("TBDHV"), st.integers(1, 6), min_size=1))
def test_the_last_of_the_sweep_is_larger_and_all_different(sizes: dict[str, int]) -> None:
    """Equal sizes would hide a transpose, and small ones everything that needs length."""
    *_, largest = of(**sizes).other_sizes()
    assert all(largest[name] > value for name, value in sizes.items())
    assert len(set(largest.values())) == len(largest)


@given(
    st.dictionaries(st.sampled_from("TBD"), st.integers(1, 6), min_size=3),
    st.dictionaries(st.sampled_from("TBD"), st.integers(1, 6), min_size=3),
)
def test_shrinking_ends_at_the_smallest_sizes(start: dict[str, int], limit: dict[str, int]) -> None:
    """The smallest failing size in the report would not be the smallest, or not fail."""
    start = {name: max(value, limit[name]) for name, value in start.items()}
    smallest = of(**start).shrink(start, lambda sizes: all(sizes[name] >= limit[name] for name in limit))
    assert smallest == limit


def test_shrinking_one_size_may_need_another() -> None:
    """Shrinking would stop after one round, though a smaller size fails once another has shrunk."""
    smallest = of(A=4, B=4).shrink({"A": 4, "B": 4}, lambda sizes: sizes["A"] >= sizes["B"])
    assert smallest == {"A": 1, "B": 1}


def test_shrinking_asks_for_no_size_twice_at_the_end() -> None:
    """A size at which nothing can shrink would be tried for as many rounds as there are sizes."""
    asked: list[Any] = []
    of(A=1, B=1).shrink({"A": 1, "B": 1}, lambda sizes: asked.append(sizes) or True)
    assert asked == []


# -- workers -----------------------------------------------------------------------------------------------------------


def test_a_factory_travels_by_name() -> None:
    """Worker processes could not be sent a decorated factory, or would lose its pinned sizes."""
    sent = pickle.loads(pickle.dumps(networks.right_rnn.with_sizes(T=3)))
    assert sent.make is networks.right_rnn.make
    assert sent.sizes == {"T": 3, "H": 9}


def test_a_module_that_cannot_be_imported_is_loaded_from_its_file(tmp_path: Any) -> None:
    """A factory in a file named on the command line could not be sent to workers."""
    file = tmp_path / "cells_of_a_user.py"
    file.write_text("import gradcheck\n@gradcheck.target\ndef cell(rng, *, T=2): ...\ndef plain(rng, *, B=3): ...\n")
    assert find_factory("not_a_module", str(file), "cell", {"T": 5}).sizes == {"T": 5}
    assert find_factory("not_a_module", str(file), "plain", {}).sizes == {"B": 3}
    with pytest.raises(ImportError):
        find_factory("not_a_module", None, "cell", {})


def test_a_factory_inside_a_function_cannot_travel() -> None:
    """A factory that workers cannot import would be sent, and fail there."""
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(factory())


def test_only_a_raise_of_the_users_own_refuses_sizes() -> None:
    """Code that breaks at a batch of one would be taken for code that is not made for it, or for a wrong backward."""

    def breaks(rng: Any, *, B: int = 3) -> Target:
        w = np.ones(2)
        np.concatenate([np.ones((B, 2)), np.ones((2, 2))] if B > 1 else [np.ones(2), np.ones((2, 2))])
        return Target({"w": w}, lambda: (w**2).sum(), lambda: {"w": 2 * w})

    def refuses(rng: Any, *, B: int = 3) -> Target:
        if B < 2:
            raise ValueError("at least two examples")
        w = np.ones(2)
        return Target({"w": w}, lambda: (w**2).sum(), lambda: {"w": 2 * w})

    report = gradcheck.check(breaks)
    assert not report.laws["sizes"].holds
    assert report.laws["sizes"].message.startswith("not tested at B=1: breaks(rng, B=1) raised ValueError")
    assert report.verdict == "inconclusive"
    assert report.smallest is None
    assert [trial.sizes["B"] for trial in report.trials if trial.message] == [1]
    report = gradcheck.check(refuses)
    assert report.ok
    assert report.notes == ("not tried, since the factory refuses it: B=1 (at least two examples)",)


def test_sizes_far_above_the_defaults() -> None:
    """What begins at eight time steps would begin beyond the sizes that are tried."""

    @gradcheck.target
    def make(rng: Any, *, T: int = 3, H: int = 2) -> Target:
        w = rng.normal(size=H)
        return Target({"w": w}, lambda: T * (w**2).sum(), lambda: {"w": 2 * min(T, 8) * w})

    assert list(make.far_sizes(0)) == [("T", 17)]
    report = gradcheck.check(make, explain=False)
    assert [trial.sizes["T"] for trial in report.trials if trial.wrong] == [17]


def steps_as_parameters(bug: str = "") -> gradcheck.TargetFactory:
    """The loss multiplies T parameters; a window of K of the weights is summed, which does not fit where K > 4."""

    @gradcheck.target
    def make(rng: Any, *, T: int = 3, K: int = 2) -> Target:
        x, v, w = rng.uniform(0.5, 1.5, T), rng.normal(size=K), rng.normal(size=4)
        if bug == "raises" and K > 4:
            w[K - 1]

        def loss() -> Any:
            sums = [w[i : i + K] @ v for i in range(4 - K + 1)] if bug != "raises" else [w[K - 1] * v.sum()]
            return np.prod(x) + np.mean(sums)

        def grads() -> Any:
            through = {"x": np.prod(x) / x, "v": np.zeros(K), "w": np.zeros(4)}
            if bug == "after 8":
                through["x"][:-8] = 0
            count = 4 - K + 1
            for i in range(count):
                through["v"] += w[i : i + K] / count
                through["w"][i : i + K] += v / count
            return through

        return Target({"x": x, "v": v, "w": w}, loss, grads)

    return make


def test_far_sizes_where_inputs_are_parameters() -> None:
    """A truncation after eight steps would pass in a function whose inputs are checked as well."""
    assert list(steps_as_parameters().far_sizes(0)) == []
    report = gradcheck.check(steps_as_parameters("after 8"), explain=False)
    assert [trial.sizes["T"] for trial in report.trials if trial.wrong] == [17]


def test_far_sizes_that_are_no_steps_accuse_nobody() -> None:
    """A window of seventeen over four values has no mean, and right code would be wrong for it."""
    report = gradcheck.check(steps_as_parameters())
    assert report.verdict == "right", str(report)
    assert {trial.sizes["T"] for trial in report.trials} >= {17}
    assert {trial.sizes["K"] for trial in report.trials} == {1, 2, 3}


TWO, FOUR, RATE, FLAG = np.int64(2), np.int32(4), np.float64(2), np.bool_(True)


def made_of_parts(rng: Any, factor: float, *, T: int = 4, B: Any = TWO) -> Any:
    """A factory with an argument that is given beforehand."""
    return sine(factor * rng.standard_normal(T * int(B)))


partial_factory = gradcheck.target(functools.partial(made_of_parts, factor=0.5, T=3))


def test_a_factory_with_arguments_given_beforehand_is_one() -> None:
    """A partial would be called "target", belong to the module functools, and not reach a worker."""
    made = partial_factory
    assert (made.name, made.__module__) == ("made_of_parts", __name__)
    assert made.doc == "A factory with an argument that is given beforehand."
    assert made.sizes == {"T": 3, "B": 2}
    again = pickle.loads(pickle.dumps(made.with_sizes(T=5)))
    assert again.sizes == {"T": 5, "B": 2}
    assert gradcheck.check(again).verdict == "right"


def test_an_argument_that_is_given_beforehand_is_no_size() -> None:
    """A factor that the user has set to 2 would be varied as a size is, and the code run at others."""
    made = gradcheck.target(functools.partial(made_of_parts, factor=2))
    assert made.sizes == {"T": 4, "B": 2}
    assert gradcheck.check(made).verdict == "right"


def test_numpy_integers_are_sizes() -> None:
    """Sizes that come out of an array would not be varied, and a defect at other sizes be missed."""

    @gradcheck.target
    def made(rng: Any, *, T: Any = FOUR, rate: Any = RATE, flag: Any = FLAG) -> Any:
        """What it is."""

    assert made.sizes == {"T": 4}
    assert type(made.sizes["T"]) is int


def test_a_parameter_that_some_sizes_do_not_have_needs_them() -> None:
    """With one layer there is no weight of the second: the check ended in a KeyError while it looked for a cause."""

    @gradcheck.target
    def layers(rng: np.random.Generator, *, L: int = 2, H: int = 3) -> Target:
        params = {f"W{k}": rng.standard_normal(H) for k in range(L)}
        return Target(params, lambda: float(sum(np.sum(w**2) for w in params.values())), lambda: params)

    assert layers.sizes_without_reuse_of(0, "W1") == {"L": 2, "H": 3}
    assert layers.sizes_without_reuse_of(0, "W0") == {"L": 1, "H": 3}


MODULE = """\
import numpy as np


def loss():
    return sum(lib.sum(look(i) ** 2) for i in ids)


def grads():
    d = lib.zeros_like(W)
    for i in ids:
        d[i] += 2 * look(i)
    return {"W": d}
"""
BINDS = """\
import numpy as np
import gradcheck
import {name} as m


@gradcheck.target
def bound(rng, *, V=3, D=2):
    m.W = rng.normal(size=(V, D))
    m.look, m.lib, m.ids = (lambda i: m.W[i]), np, list(range(V))
    return gradcheck.Target({{"W": m.W}}, m.loss, m.grads)
"""


def test_functions_and_modules_that_a_factory_binds_are_there_when_its_code_runs(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it fails, code that runs on module globals raises a NameError for a function that the factory had bound."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "bound_globals.py").write_text(MODULE)
    (tmp_path / "binds_globals.py").write_text(BINDS.format(name="bound_globals"))
    import binds_globals  # type: ignore[import-not-found]  # it has just been written
    import bound_globals  # type: ignore[import-not-found]

    names = set(vars(bound_globals))
    assert gradcheck.check(binds_globals.bound).ok
    assert set(vars(bound_globals)) == names


def test_a_factory_is_shown_with_its_name_and_sizes() -> None:
    """A notebook's cell that ends with a factory would show an address in memory."""
    assert repr(of(T=4, B=2)) == "<TargetFactory made: T=4, B=2>"
    assert repr(of(T=4, B=2).with_sizes(T=1)) == "<TargetFactory made: T=1 (pinned), B=2>"
