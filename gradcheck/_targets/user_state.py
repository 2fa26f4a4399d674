"""What the user's functions can reach and change, kept so that it can be put back.

A loss keeps caches in attributes, a notebook keeps its weights in variables of the module, a closure keeps a list of
states. `UserState` follows the user's functions to all of these: the variables of closures, the module variables that
they name, attributes of objects of the user's classes, items of containers, the contents of arrays and of tensors, the
gradients that tensors have, random generators.

`restore` puts all of it back. `restore_values` leaves out what only counts or notes: numbers, strings, and lists that
hold no arrays. A user who counts the calls of a loss wants to know how often it was called.

Values are followed by reference, so that the objects stay the same ones. Contents of arrays are copied up to
`MAX_COPIED_BYTES` each: larger ones are caches, which the next forward writes anew, or parameters, which `Target`
keeps itself.
"""

from __future__ import annotations

import builtins
import dis
import functools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from gradcheck._common.libraries import is_tensor, shared_with_numpy
from gradcheck._common.user_files import is_user_file, is_users_class
from gradcheck._targets.attributes import Attributes
from gradcheck._targets.structure import leaves

#: arrays of more bytes than this keep their identity, not their contents
MAX_COPIED_BYTES = 2**19
#: objects that are followed: a program that reaches more holds data, not state
MAX_OBJECTS = 20_000

#: so many functions are remembered, with what they name
MOST_KNOWN_GLOBALS = 4096
_known_globals: dict[int, tuple[CodeType, tuple[str, ...]]] = {}

#: how the code of cells and sessions is called
_CELLS = ("<ipython", "<stdin", "<cell", "<doctest", "<string", "<python-input")
_MISSING = object()
_COUNTS = (str, bytes, int, float, bool)
_LEAVES = (*_COUNTS, complex, type(None), np.generic, range, slice)
_CODE = (FunctionType, BuiltinFunctionType, type, np.ufunc)


class _Item(NamedTuple):
    """A name in a module or an object, or a key of a mapping, and what it is bound to."""

    owner: dict[Any, Any]
    name: Any
    value: object

    def get(self) -> object:
        """What it is bound to now."""
        return self.owner.get(self.name, _MISSING)

    def put(self, before: object) -> None:
        """Bind it to what it was bound to before; or to nothing."""
        if before is _MISSING:
            self.owner.pop(self.name, None)
        else:
            self.owner[self.name] = before


class _Attribute(NamedTuple):
    """An attribute of an object or a class, or the variable of a closure, `shown` by another name."""

    owner: object
    name: str
    value: object
    attribute: str

    def get(self) -> object:
        """What it is bound to now."""
        return getattr(self.owner, self.attribute, _MISSING)

    def put(self, before: object) -> None:
        """Bind it to what it was bound to before; or to nothing."""
        if before is _MISSING:
            delattr(self.owner, self.attribute)
        else:
            setattr(self.owner, self.attribute, before)


def _restore(one: _Item | _Attribute, *, counts: bool) -> None:
    """Bind it again; unless both values only count, and counts are left."""
    now = one.get()
    if now is not one.value and (counts or not (isinstance(now, _COUNTS) and isinstance(one.value, _COUNTS))):
        one.put(one.value)


class UserState:
    """The state that these functions reach, as it is now."""

    def __init__(self, functions: Iterable[object], known: Mapping[int, object] | None = None) -> None:
        """Of what these reach; not through objects that are `known`, by their identities."""
        #: the identities of complex arrays
        self.complex_arrays: set[int] = set()
        self._seen: dict[int, object] = dict(known or {})
        self._variables: list[_Item | _Attribute] = []
        self._containers: list[tuple[Any, Any]] = []
        #: mappings, and the keys that they had
        self._mappings: list[tuple[dict[Any, Any], frozenset[Any]]] = []
        self._arrays: list[tuple[Any, Any]] = []
        self._generators: list[tuple[Any, Any]] = []
        #: tensors, whether they take part in graphs, and their gradients
        self._leaves: list[tuple[Any, bool, Any]] = []
        self._waiting: deque[object] = deque(functions)
        while self._waiting and len(self._seen) < MAX_OBJECTS:
            value = self._waiting.popleft()
            if id(value) in self._seen or isinstance(value, _LEAVES):
                continue
            self._seen[id(value)] = value  # kept alive, so that no other object gets its id
            self._keep(value)
        self._waiting.clear()

    def add_bound_since(self, before: UserState) -> None:
        """Keep the functions, classes and modules too that have been bound to names that were free before.

        Elsewhere they are no state. What puts the names back as they were leaves these free again.
        """
        for one in before._variables:
            now = one.get() if one.value is _MISSING else _MISSING
            if isinstance(now, (*_CODE, ModuleType)):
                self._variables.append(one._replace(value=now))

    def holds_new_complex(self) -> bool:
        """Whether anything that was bound since this was made leads to complex arrays that were not there then."""
        changed = [now for one in self._variables if (now := one.get()) is not one.value and now is not _MISSING]
        for container, before in self._containers:
            known = {id(one) for one in before}
            changed += [one for one in container if id(one) not in known]
        changed += [mapping[key] for mapping, keys in self._mappings for key in mapping if key not in keys]
        changed += [tensor.grad for tensor, _, grad in self._leaves if tensor.grad is not grad]
        return bool(changed and _Look(changed, self._seen).complex_arrays)

    def restore(self) -> None:
        """Put everything back as it was when this was made."""
        self._put_back(counts=True)

    def restore_values(self, installed: UserState | None = None) -> None:
        """Put everything back but what only counts; of that, what differs in the state `installed` meanwhile."""
        self._put_back(counts=False)
        if installed is not None:
            meanwhile = {(id(one.owner), one.name): one.value for one in installed._variables}
            for one in self._variables:
                if meanwhile.get((id(one.owner), one.name), one.value) is not one.value:
                    _restore(one, counts=True)

    def _put_back(self, *, counts: bool) -> None:
        for one in self._variables:
            _restore(one, counts=counts)
        for container, before in self._containers:
            if counts or _holds_values(container) or _holds_values(before):
                container.clear()
                (container.update if isinstance(container, set) else container.extend)(before)
        for mapping, keys in self._mappings:
            for key in [key for key in mapping if key not in keys]:
                if counts or not isinstance(mapping[key], _COUNTS):
                    del mapping[key]
        for array, contents in self._arrays:
            np.copyto(array, contents)
        for generator, state in self._generators:
            generator.state = state
        for tensor, requires_grad, grad in self._leaves:
            if tensor.is_leaf and tensor.requires_grad is not requires_grad:
                tensor.requires_grad_(requires_grad)
            if tensor.grad is not grad:
                tensor.grad = grad

    # -- what is followed, and how -------------------------------------------------------------------------------------

    def _keep(self, value: object) -> None:
        if isinstance(value, FunctionType):  # most are functions
            self._keep_function(value)
        elif isinstance(value, np.ndarray):  # or arrays
            self._keep_array(value)
        elif is_tensor(value):
            self._keep_tensor(value)
        elif isinstance(value, MethodType):
            self._waiting += [value.__self__, value.__func__]
        elif isinstance(value, functools.partial):
            self._waiting += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, dict):
            self._keep_mapping(value)
        elif isinstance(value, Attributes):
            self._keep_named(value)
        elif isinstance(value, (list, set, deque)):
            self._containers.append((value, value.copy()))
            self._waiting += value
        elif isinstance(value, (tuple, frozenset)):
            self._waiting += value
        elif isinstance(value, np.random.Generator):
            self._generators.append((value.bit_generator, value.bit_generator.state))
        elif isinstance(value, type):
            self._keep_class(value)
        elif is_users_class(type(value)):
            self._keep_object(value)

    def _keep_named(self, attributes: Attributes) -> None:
        """What the user has named: whatever it is, and also where it is not there yet."""
        for owner, name in attributes.places():
            self._keep_attribute(owner, name, also_absent=True)
            for _, leaf in leaves(name, getattr(owner, name, None)):
                array = shared_with_numpy(leaf)
                if isinstance(array, np.ndarray) and id(array) not in self._seen:
                    self._seen[id(array)] = array
                    self._keep_array(array, whatever_its_size=True)
        self._waiting.append(attributes.owner)

    def _keep_array(self, array: Any, *, whatever_its_size: bool = False) -> None:
        if array.dtype.kind == "c":
            self.complex_arrays.add(id(array))
        fits = whatever_its_size or array.nbytes <= MAX_COPIED_BYTES
        if array.dtype != object and array.flags.writeable and fits:
            self._arrays.append((array, array.copy()))

    def _keep_tensor(self, tensor: Any) -> None:
        """Its numbers; and of a leaf of a graph whether it has a gradient, and which."""
        array = shared_with_numpy(tensor)
        if isinstance(array, np.ndarray):
            self._keep_array(array)
        if tensor.is_leaf:  # of what was calculated nobody sets either
            self._leaves.append((tensor, tensor.requires_grad, tensor.grad))
            self._waiting.append(tensor.grad)

    def _keep_mapping(self, mapping: dict[Any, Any]) -> None:
        if "__builtins__" in mapping or mapping is vars(builtins):
            return  # a namespace that somebody handed on: not theirs to change
        self._mappings.append((mapping, frozenset(mapping)))
        for key, value in mapping.items():
            self._keep_item(mapping, key, value)

    def _keep_function(self, function: FunctionType) -> None:
        code, namespace = function.__code__, function.__globals__
        if not _is_followed(code.co_filename):
            return
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            self._keep_attribute(cell, "cell_contents", shown=name)
        self._waiting += function.__defaults__ or ()
        self._waiting += (function.__kwdefaults__ or {}).values()
        for name in _globals_named(code):
            value = namespace.get(name, _MISSING)
            if type(value) is FunctionType:  # most are
                self._waiting.append(value)
            elif isinstance(value, ModuleType):
                self._keep_module(value, code)
            else:
                self._keep_item(namespace, name, value)

    def _keep_module(self, module: ModuleType, code: CodeType) -> None:
        if is_user_file(getattr(module, "__file__", None) or ""):
            for name in _names(code):
                if name in vars(module):
                    self._keep_item(vars(module), name, vars(module)[name])

    def _keep_item(self, namespace: dict[Any, Any], name: Any, value: object) -> None:
        if value is not _MISSING:
            self._waiting.append(value)
        if isinstance(value, _CODE):  # functions and classes are state where they are bound anew, which is rare
            return
        self._variables.append(_Item(namespace, name, value))

    def _keep_attribute(self, owner: object, name: str, *, shown: str = "", also_absent: bool = False) -> None:
        try:
            value = getattr(owner, name, _MISSING)
        except ValueError:  # a variable of a closure that is not bound yet
            return
        if value is not _MISSING or also_absent:
            self._variables.append(_Attribute(owner, shown or name, value, name))
        if value is not _MISSING:
            self._waiting.append(value)

    def _keep_class(self, kind: type) -> None:
        if not is_users_class(kind):
            return
        for name, value in vars(kind).items():
            function = getattr(value, "__func__", value.fget if isinstance(value, property) else value)
            if isinstance(function, FunctionType):
                self._waiting.append(function)
            elif not name.startswith("__") and not hasattr(value, "__get__"):
                self._keep_attribute(kind, name)
        self._waiting += kind.__bases__

    def _keep_object(self, value: object) -> None:
        self._waiting.append(type(value))
        attributes: dict[str, Any] = getattr(value, "__dict__", {})
        for name in attributes:
            self._keep_item(attributes, name, attributes[name])
        for name in _slots(type(value)):
            self._keep_attribute(value, name)


class _Look(UserState):
    """Looks for complex arrays until one is reached: nothing is kept for putting it back."""

    def _keep_array(self, array: Any, *, whatever_its_size: bool = False) -> None:  # noqa: ARG002
        if array.dtype.kind == "c":
            self.complex_arrays.add(id(array))
            self._waiting.clear()

    def _keep_item(self, namespace: dict[Any, Any], name: Any, value: object) -> None:  # noqa: ARG002
        self._waiting.append(value)


def _holds_values(container: Any) -> bool:
    """Whether any of its items is more than a count or a note."""
    return any(
        not isinstance(one, _COUNTS) for one in (container.values() if isinstance(container, dict) else container)
    )


@functools.lru_cache(maxsize=1024)
def _names(code: CodeType) -> tuple[str, ...]:
    """The module variables, and attributes, that code and the code inside it name."""
    inner = (one for constant in code.co_consts if isinstance(constant, CodeType) for one in _names(constant))
    return tuple(dict.fromkeys([*code.co_names, *inner]))


def _globals_named(code: CodeType) -> tuple[str, ...]:
    """The variables of the module that code and the code inside it name; builtins are left out."""
    # the hash of code, which is made anew each time, takes longer than all the rest
    known = _known_globals.get(id(code))
    if known is None or known[0] is not code:
        if len(_known_globals) >= MOST_KNOWN_GLOBALS:
            _known_globals.clear()
        known = _known_globals[id(code)] = code, _find_globals_named(code)
    return known[1]


def _find_globals_named(code: CodeType) -> tuple[str, ...]:
    own = (code.co_names[index] for index in _indices_of_globals(code.co_code))
    inner = (one for constant in code.co_consts if isinstance(constant, CodeType) for one in _globals_named(constant))
    return tuple(name for name in dict.fromkeys([*own, *inner]) if not hasattr(builtins, name))


def _indices_of_globals(bytecode: bytes) -> Iterator[int]:
    """The places among the names of code of those that it looks up as variables of the module, or as they come.

    `dis` tells the same, and takes a hundred times as long: as long as a small check.
    """
    extended = 0
    for code, argument in zip(bytecode[::2], bytecode[1::2], strict=True):
        argument |= extended
        extended = argument << 8 if code == dis.EXTENDED_ARG else 0
        if code in _GLOBALS:
            yield argument >> _GLOBALS[code]


#: the operations that name a variable of the module, or one wherever it is; and where the place of the name begins
_GLOBALS = {
    code: int(name == "LOAD_GLOBAL")  # its last bit tells whether it is called
    for name, code in dis.opmap.items()
    if "GLOBAL" in name or name == "LOAD_NAME"
}


def _slots(kind: type) -> Iterator[str]:
    for one in kind.__mro__:
        slots = vars(one).get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else tuple(slots)
        yield from (name for name in names if name not in ("__dict__", "__weakref__"))


def _is_followed(file: str) -> bool:
    """Whether the state of code of this file is looked at: the user's, or a cell of a notebook or a session."""
    return is_user_file(file) and not (file.startswith("<") and not file.startswith(_CELLS))
