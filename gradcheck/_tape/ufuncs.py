"""Calls of ufuncs and of their methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck._tape.hooks import BINARY
from gradcheck._tape.libraries import RULES, Library
from gradcheck._tape.nodes import Array, is_value
from gradcheck._tape.rules import reductions
from gradcheck._tape.rules.elementwise import elementwise
from gradcheck._tape.rules.operation import Operation
from gradcheck._tape.tape import At
from gradcheck._tape.writes import store_added, store_item

#: by the name of the operator
UFUNCS: dict[str, Any] = {
    "Add": np.add, "Sub": np.subtract, "Mult": np.multiply, "Div": np.divide, "Pow": np.power, "MatMult": np.matmul,
    "Mod": np.remainder, "FloorDiv": np.floor_divide,
}  # fmt: skip
#: by the function that is the operator
OPERATORS: dict[Any, Any] = {BINARY[name]: ufunc for name, ufunc in UFUNCS.items()}


class Ufuncs(Library):
    """Makes calls of ufuncs."""

    def ufunc(self, at: At, ufunc: np.ufunc, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        out = keywords.get("out", args[ufunc.nin] if len(args) > ufunc.nin else None)
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        operands = tuple(self.as_array(at, x) for x in args[: ufunc.nin])
        rest = {key: value for key, value in keywords.items() if key != "out"}
        if ufunc.nout > 1 or (ufunc.signature is not None and ufunc is not np.matmul):
            return self._general(at, ufunc, operands, rest, out)
        where = rest.get("where", True)
        if where is True:
            result = ufunc(*operands, **rest)
        else:
            base = np.array(out) if isinstance(out, np.ndarray) else None
            result = ufunc(*operands, **{**rest, "out": base})
        if is_value(result) and not self.tape.known(result):
            operation = Operation(ufunc, operands, rest, result, self.tape.hold)
            rule = RULES.get(ufunc)
            pulls = (rule(operation) if rule else None) or elementwise(ufunc, operands, operation)
            if where is not True:
                mask = np.array(where, bool)
                pulls = [(x, lambda g, pull=pull: pull(np.where(mask, g, 0.0))) for x, pull in pulls]  # type: ignore[misc]
                if out is not None:
                    pulls.append((out, lambda g: np.where(mask, 0.0, g)))
            self.tape.record(ufunc.__name__, at, result, pulls)
        else:
            self.lost(ufunc.__name__, operands, {}, result)
        return result if out is None else self.written(at, out, result)

    def _general(self, at: At, ufunc: np.ufunc, args: tuple[Any, ...], keywords: dict[str, Any], out: Any) -> Any:
        result = self.finished(at, ufunc.__name__, ufunc, args, keywords, ufunc(*args, **keywords))
        if out is None:
            return result
        if isinstance(out, tuple):
            return tuple(self.written(at, o, r) if o is not None else r for o, r in zip(out, result, strict=True))
        return self.written(at, out, result)

    def ufunc_method(self, at: At, ufunc: np.ufunc, name: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if name == "at":
            return self._at(at, ufunc, args)
        function = getattr(ufunc, name)
        if keywords.get("out") is not None:
            rest = {key: value for key, value in keywords.items() if key != "out"}
            return self.written(at, keywords["out"], self.ufunc_method(at, ufunc, name, args, rest))
        args = tuple(self.as_array(at, x) if k < 2 else x for k, x in enumerate(args))
        result = function(*args, **keywords)
        if name == "outer" and is_value(result):
            left = np.reshape(args[0], (*np.shape(args[0]), *(1,) * np.ndim(args[1])))
            if isinstance(args[0], np.ndarray) and is_value(args[0]):
                self.viewed(at, left, args)
            return self.binary(at, ufunc, result, left, args[1])
        rule = reductions.REDUCED.get(ufunc) if name == "reduce" else None
        operation = Operation(function, args, keywords, result, self.tape.hold)
        if name == "accumulate" and ufunc is np.add:
            axis = operation.argument(1, "axis", default=0)
            whole = Operation(np.cumsum, (args[0],), {"axis": axis}, result, self.tape.hold)
            rule, operation = RULES[np.cumsum], whole
        pulls = rule(operation) if rule is not None and is_value(result) else None
        if pulls is None or self.tape.known(result):
            return self.finished(at, f"{ufunc.__name__}.{name}", function, args, keywords, result)
        self.tape.record(f"{ufunc.__name__}.{name}", at, result, pulls)
        return result

    def _at(self, at: At, ufunc: np.ufunc, args: tuple[Any, ...]) -> None:
        """``np.add.at(target, index, value)``, which counts repeated indices."""
        target, index = args[0], args[1]
        value = args[2] if len(args) > 2 else None
        if not is_value(target):
            ufunc.at(*args)
            return
        if ufunc not in (np.add, np.subtract):
            self.opaque.setdefault(f"{ufunc.__name__}.at")
            result = target.copy()
            ufunc.at(result, *args[1:])

            def applied(start: Array, *rest: Any) -> Array:
                changed = np.array(start)
                ufunc.at(changed, index, *rest)
                return changed

            operands = (target, *(() if value is None else (value,)))
            self.finished(at, f"{ufunc.__name__}.at", applied, operands, {}, result)
            store_item(self.tape, at, target, Ellipsis, result)
            return
        store_added(self.tape, at, target, index, value, 1.0 if ufunc is np.add else -1.0)
