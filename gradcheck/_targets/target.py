"""What is checked: parameters, a loss, and the gradients somebody wrote by hand.

Several ways in, one inside. The checker asks a `Target` only for its values, for the loss at other values, and for the
gradients; whether that means writing into the user's arrays (`Target`), calling a pure function
(`Target.from_function`), contracting outputs with cotangents (`Target.from_vjp`) or taking code as it is found
(`Target.from_call`, `from_object`, `from_update`) is a matter of its `problem`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.clock import look
from gradcheck._common.printable import printable
from gradcheck._targets.clipping import Clip
from gradcheck._targets.found_code import FoundCode
from gradcheck._targets.global_generator import kept_global_generator
from gradcheck._targets.problems import Batched, InPlaceProblem, Params, Problem, copies_of
from gradcheck._targets.pure_problems import FunctionProblem, VjpProblem
from gradcheck._targets.user_state import UserState
from gradcheck._targets.validation import name_gates

if TYPE_CHECKING:
    from gradcheck.report.target_html import Held


class Target(FoundCode):
    """A loss, its parameters and their hand-written gradients.

    Args:
        params: Mapping from a name to a floating-point ndarray; or to a callable that returns the array; or a
            callable that returns the whole mapping (for code that binds its weights anew). In the place of an array a
            list, tuple or mapping of arrays may stand; they are called ``W[0]``, ``layers[1].W``. The arrays are
            perturbed in place and always put back, also after an exception or Ctrl-C. Inputs and initial states may be
            listed here too.
        loss: ``loss() -> float``: the scalar that the gradients are of, at the current values of `params`.
        grads: ``grads() -> mapping``: for each name an array of the parameter's shape; or a sequence of arrays in the
            order of `params`. Called after ``loss()``.
        inputs: Arrays that the loss should depend on but that have no gradient (tokens, labels): a mapping, a
            sequence or one array. They are changed in place to see whether the loss follows, and put back.
        reset: Called before each ``loss()`` and before each ``loss()``-then-``grads()``: brings hidden state back.
        name: Shown in the report.
        gates: The names of gates that stand side by side in one array, in their order: "ifgo", or a list of names.
            Reports then name the gate that is wrong.
        batched: ``batched(name, copies) -> losses``: the loss for K copies of one parameter, (K, *shape), while the
            others stay as they are; K numbers. Makes a full check faster. Copies are complex where `loss` takes complex
            parameters; where `batched` does not, raise, and the entries are taken one by one.
        clipped: The bound at which each entry of the finished gradients is cut off on purpose. The gradients are then
            checked as declared: entries below the bound are the true ones, at it the true ones are at least as large.
        clipped_norm: The norm to which all gradients together are scaled down on purpose. What is checked is then
            that they are the true ones but for one factor of at most one.

    Raises:
        TargetError: If a parameter cannot be perturbed: not an ndarray, not floating point, read-only, not finite, or
            sharing memory with another parameter.
    """

    problem: Problem

    def __init__(
        self,
        params: Params,
        loss: Callable[[], Any],
        grads: Callable[[], Any],
        *,
        inputs: Any = None,
        reset: Callable[[], object] | None = None,
        name: str | None = None,
        gates: Sequence[str] = (),
        batched: Batched | None = None,
        clipped: float | None = None,
        clipped_norm: float | None = None,
    ) -> None:
        clip = Clip.declared(clipped, clipped_norm)
        self._take(InPlaceProblem(params, loss, grads, inputs, reset, batched), name, gates, clip)

    @staticmethod
    def from_function(
        f: Callable[[Values], tuple[Any, Mapping[str, Any]]],
        params: Mapping[str, Any],
        *,
        name: str | None = None,
        gates: Sequence[str] = (),
        batched: Batched | None = None,
    ) -> Target:
        """A target from ``f(params) -> (loss, grads)``, which never mutates `params` (JAX style)."""
        return Target._of(FunctionProblem(f, params, batched), name or getattr(f, "__name__", None), gates)

    @staticmethod
    def from_vjp(
        forward: Callable[..., Any],
        backward: Callable[[Any, Any], Any] | None = None,
        inputs: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        name: str | None = None,
        gates: Sequence[str] = (),
    ) -> Target:
        """A target from a forward and a backward: the vector-Jacobian product itself, with no loss around it.

        Args:
            forward: ``forward(*arrays) -> (outputs, cache)``; outputs is one array or a (nested) tuple of arrays. Or a
                `jax.custom_vjp` with its rule; `backward` is left out then: ``from_vjp(f, inputs={"x": x})``.
            backward: ``backward(cotangents, cache)``: gradients in the order of `inputs`, or a mapping by name. The
                cotangents have the structure of the outputs; the checker draws them from a normal distribution.
                Integer inputs (tokens) have no gradient: their place may hold None or be left out. Where both are the
                functions that `defvjp` was handed, it is called as JAX does, ``bwd(residuals, cotangents)``.
            inputs: Mapping from a name to an array, in the order of forward's arguments; or a sequence of arrays. The
                functions are handed arrays of the library that these are of: NumPy, torch or JAX.
        """
        problem = VjpProblem(forward, backward, inputs)
        return Target._of(problem, name or getattr(forward, "__name__", None), gates)

    def _take(self, problem: Problem, name: str | None, gates: Sequence[str], clip: Clip | None = None) -> None:
        self.problem = problem
        self.name = name or "target"
        self.gates = name_gates(gates)
        #: the clip that the finished gradients are declared to go through
        self.clip = clip
        #: what its functions reached when a factory had just built it
        self.built_state: UserState | None = None
        #: what they reached when it was opened; None while it is not
        self._state: UserState | None = None

    def __repr__(self) -> str:
        """In short: the name, and the parameters with their shapes."""
        from gradcheck.report.target_html import target_in_short

        return printable(target_in_short(self.name, self._held()))

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from gradcheck.report.target_html import target_to_html

        return target_to_html(self.name, self._held())

    def _held(self) -> list[Held]:
        """Its arrays; none where the user's code does not give them now, since nobody is to be told of that here."""
        from gradcheck.report.target_html import Held

        try:
            both = [(self.problem.arrays(), False), (self.problem.inputs, True)]
        except Exception:
            return []
        return [
            Held(name, array.shape, str(array.dtype), is_input)
            for arrays, is_input in both
            for name, array in arrays.items()
        ]

    # -- what the checker asks for ---------------------------------------------------------------------------------

    @property
    def is_vjp(self) -> bool:
        """Whether there is an upstream gradient that the checker draws itself (`from_vjp`)."""
        return isinstance(self.problem, VjpProblem)

    @property
    def takes_complex(self) -> bool:
        """Whether complex values can reach the loss at all; whether it then behaves is found out by a probe."""
        return self.problem.takes_complex

    @property
    def batched(self) -> Batched | None:
        """The user's function of many copies of one parameter, if there is one."""
        return self.problem.batched

    def draw_cotangents(self, rng: np.random.Generator) -> None:
        """Called once before a check; draws what has to stay fixed through it."""
        if isinstance(self.problem, VjpProblem):
            self.problem.draw_cotangents(rng)

    def values(self) -> Values:
        """Copies of the parameters as they are now."""
        return copies_of(self.problem.arrays())

    def inputs(self) -> Values:
        """The live arrays that have no gradient but should matter."""
        return self.problem.inputs

    def names_changed_by_last_call(self) -> list[str]:
        """The names of the user's arrays that the last call did not leave as they were handed to it."""
        return self.problem.names_changed_by_last_call()

    def loss_at(self, values: Values) -> Any:
        """What ``loss()`` returns with the parameters at `values`; those of a wider dtype replace the entries."""
        look()
        return self.problem.loss_at(values)

    def losses_at(self, values: Values, name: str, copies: Array) -> Any:
        """What ``batched(name, copies)`` returns with the parameters at `values`."""
        look()
        return self.problem.losses_at(values, name, copies)

    def grads_at(self, values: Values) -> Any:
        """What ``grads()`` returns after a ``loss()`` with the parameters at `values`."""
        with closing(self.loss_then_grads_at(values)) as asked:
            next(asked)
            return next(asked)

    def loss_then_grads_at(self, values: Values) -> Generator[Any, None, None]:
        """What ``loss()`` returns with the parameters at `values`, and then what ``grads()`` does; to be closed."""
        look()
        return self.problem.loss_then_grads_at(values)

    # -- what is put back ------------------------------------------------------------------------------------------

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Put everything that the user's functions can change back at the end, whatever happens in between.

        A target that a factory built brings its own state along: the module variables, say, that a later call of the
        factory has bound anew.
        """
        with kept_global_generator():
            yield from self._state_preserved()

    def _state_preserved(self) -> Iterator[None]:
        outside, before = UserState(self.problem.functions()), self._state
        if self.built_state is not None and before is None:
            self.built_state.restore()
            self._state = self.built_state
        else:
            self._state = outside
        try:
            with self.problem.preserved():
                yield
        finally:
            self._state = before
            outside.restore_values(installed=self.built_state)

    @property
    def is_open(self) -> bool:
        """Whether it is `preserved` now, with the state that it brought along in place."""
        return self._state is not None

    def keep_state(self, bound_since: UserState) -> None:
        """Bring the state along that its functions reach now; `preserved` puts it in place.

        Of what the factory could reach before, names that were not bound then come along whatever they are bound to.
        """
        self.built_state = UserState(self.problem.functions())
        self.built_state.add_bound_since(bound_since)

    def restore_state(self, *, if_complex: bool = False, counts: bool = False) -> None:
        """Bring hidden state back to where `preserved` found it.

        Args:
            if_complex: Only where some of it is complex now.
            counts: Also what only counts or notes: it was not the user's code that ran.
        """
        state = self._state
        if state is None or (if_complex and not state.holds_new_complex()):
            return
        if counts:
            state.restore()
        else:
            state.restore_values()

    def move_to(self, values: Values) -> None:
        """Set the parameters, until `preserved` puts them back."""
        self.problem.write(values)
