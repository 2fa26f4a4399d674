"""The tape follows the language: each construct in a program of its own."""

from __future__ import annotations

import textwrap

import pytest

from tests.gradcheck._tape.programs import check, draw, module, target_of

PROGRAMS = {
    "a plain function": "def loss(p): return np.sum(np.tanh(p['a'] @ p['b']) ** 2)",
    "names and a loop": """
        def loss(p):
            h = np.zeros(3)
            for t in range(4):
                h = np.tanh(h @ p['b'] + p['a'][t % 2])
            return h @ h
        """,
    "a method": """
        class Net:
            def __init__(self, p): self.p = p
            def loss(self): return (self.p['a'] ** 2).sum() + self.p['b'].mean()
        def loss(p): return Net(p).loss()
        """,
    "an object that is called": """
        class Layer:
            def __init__(self, W): self.W = W
            def __call__(self, x):
                self.y = np.tanh(x @ self.W)
                return self.y
        def loss(p):
            layer = Layer(p['b'])
            return layer(layer(p['a'])).sum() * layer.y[0, 1]
        """,
    "a closure": """
        def make(p):
            W = p['b']
            def step(x):
                return np.tanh(x @ W)
            return step
        def loss(p):
            step = make(p)
            return step(step(p['a'])).sum()
        """,
    "a lambda": """
        square = lambda x: x * x
        def loss(p):
            cube = lambda x, n=3: square(x) * x
            return cube(p['a']).sum() + (lambda q: q @ q.T)(p['a']).sum()
        """,
    "nonlocal": """
        def loss(p):
            total = 0.0
            def add(x):
                nonlocal total
                total += np.sum(x * x)
            add(p['a']); add(p['b'])
            return total
        """,
    "globals": """
        state = np.zeros(3)
        scale = 0.5
        def step(x):
            global state
            state = np.tanh(state + x * scale)
        def loss(p):
            global state
            state = np.zeros(3)
            for row in p['a']: step(row)
            return np.sum(state ** 3)
        """,
    "a generator": """
        def states(p):
            h = np.ones(3)
            for row in p['a']:
                h = np.sin(h * row)
                yield h
        def loss(p): return sum(float(np.sum(h)) for h in states(p))
        """,
    "yield from and send": """
        def inner(p):
            for row in p['a']:
                yield row * row
        def outer(p):
            yield from inner(p)
            yield p['b'][0]
        def loss(p): return sum(np.sum(x) for x in outer(p))
        """,
    "a list comprehension": "def loss(p): return np.sum([np.sum(row) ** 2 for row in p['a'] if row is not None])",
    "a dict comprehension": """
        def loss(p):
            q = {k: np.exp(0.1 * v) for k, v in p.items()}
            return sum(v.sum() for v in q.values())
        """,
    "a generator expression": "def loss(p): return sum(x * y for x, y in zip(p['a'].ravel(), p['b'].ravel()))",
    "nested comprehensions": "def loss(p): return sum([x * x for row in p['a'] for x in row])",
    "a set comprehension": "def loss(p): return max({float(x) for x in p['a'].ravel()}) ** 2",
    "walrus": "def loss(p): return (y := np.sum(p['a'])) * y",
    "chained assignment": """
        def loss(p):
            x = y = p['a'] * 2
            y += 1
            return np.sum(x * y)
        """,
    "star unpacking": """
        def loss(p):
            first, *rest, last = [p['a'][0], p['a'][1], p['b'][0], p['b'][1]]
            return np.sum(first * rest[0]) + np.sum(last * rest[1])
        """,
    "star arguments": """
        def f(x, *more, k=1, **others): return np.sum(x) * k + sum(np.sum(m * m) for m in more) + np.sum(others['z'])
        def loss(p): return f(*[p['a'], p['b']], **{'k': 2.0, 'z': p['a'] ** 3})
        """,
    "a conditional expression": "def loss(p): return np.sum(p['a'] if p['a'][0, 0] > -9 else p['b']) ** 2",
    "and, or": "def loss(p): return (None or np.sum(p['a'])) * (1 and np.sum(p['b']))",
    "builtin sum that begins with a value": "def loss(p): return np.sum(sum((p['a'], p['a']), np.tanh(p['a'])).T ** 2)",
    "builtin sum of arrays": "def loss(p): return np.sum(sum([p['a'] * k for k in range(3)]) ** 2)",
    "sum with a start": "def loss(p): return np.sum(sum([row * row for row in p['a']], np.ones(3)))",
    "numbers of Python": """
        import math
        def loss(p):
            x, y = float(p['a'][0, 0]), p['a'].item(1)
            z = abs(x) * math.exp(y) + math.tanh(x * y) / max(y, x) + min(x, 3.0) - -x
            z **= 2
            return z + pow(y, 2) + round(0.3) + math.sqrt(x * x + 1) + math.log(2 + y * y) + math.pow(x * x, 1.5)
        """,
    "tolist": "def loss(p): return sum(x * x * y for x, y in zip(p['a'][0].tolist(), p['b'].tolist()[1]))",
    "enumerate, zip, reversed": """
        def loss(p):
            total = 0.0
            for k, (x, y) in enumerate(zip(p['a'], reversed(p['b']))):
                total = total + (k + 1) * np.sum(x * y)
            for x in reversed(p['a'][0]):
                total = total * 0.5 + x
            return total
        """,
    "while, try, with": """
        from contextlib import contextmanager
        @contextmanager
        def scaled(x):
            yield x * 3
        def loss(p):
            k, total = 0, np.float64(0)
            while k < 2:
                try:
                    if k == 1: raise ValueError
                    total = total + np.sum(p['a'])
                except ValueError as error:
                    total = total * np.sum(p['b'])
                else:
                    total = total + 1
                finally:
                    k += 1
            with np.errstate(all='ignore'), scaled(total) as y:
                return y * total
        """,
    "a dict, attributes and a dataclass": """
        from dataclasses import dataclass, replace
        from typing import NamedTuple
        @dataclass
        class State:
            h: object
            c: object
        class Cache(NamedTuple):
            x: object
            y: object = None
        def loss(p):
            s = State(p['a'], p['b'])
            s = replace(s, h=np.tanh(s.h))
            s.c *= 1.0
            cache = {'x': Cache(s.h, y=s.c)}
            cache['z'] = cache['x'].x * 2
            return np.sum(cache['z'] * s.h) + np.sum(cache['x']._replace(x=s.c).x ** 3)
        """,
    "properties, super and private names": """
        class Base:
            def __init__(self, p): self.__p = p
            def value(self): return self.__p['a']
        class Child(Base):
            def __init__(self, p):
                super().__init__(p)
                self.__p = p['b']
            @property
            def both(self): return super().value() * self.__p[:2]
            @staticmethod
            def twice(x): return 2 * x
            @classmethod
            def make(cls, p): return cls(p)
        def loss(p): return np.sum(Child.twice(Child.make(p).both) ** 2)
        """,
    "operators of the user's": """
        class Value:
            def __init__(self, x): self.x = x
            def __add__(self, other): return Value(self.x + other.x)
            def __matmul__(self, other): return Value(self.x @ other.x)
            def __getitem__(self, k): return self.x[k]
        def loss(p): return np.sum(((Value(p['a']) @ Value(p['b'])) + Value(p['a']))[0] ** 2)
        """,
    "functools": """
        from functools import partial, reduce, lru_cache
        def mul(x, y): return x * y
        def loss(p): return np.sum(reduce(mul, [p['a'], p['a'], p['b'][:2]])) + np.sum(partial(mul, p['a'])(2.0))
        """,
    "map and sorted": "def loss(p): return sum(map(lambda x: x * x, p['a'][0])) + sorted(p['a'][1])[0] ** 2",
    "a decorator": """
        from functools import wraps
        def doubled(f):
            @wraps(f)
            def inner(*args, **kw): return 2 * f(*args, **kw)
            return inner
        @doubled
        def f(x): return np.sum(x ** 2)
        def loss(p): return f(p['a'])
        """,
    "recursion": """
        def power(x, n): return x if n == 1 else x * power(x, n - 1)
        def loss(p): return np.sum(power(p['a'], 4))
        """,
    "match": """
        def loss(p):
            match {'k': p['a']}:
                case {'k': x}: return np.sum(x * x)
        """,
    "annotated, deleted, asserted": """
        def loss(p):
            x: np.ndarray = p['a'] * 2
            y = x
            del x
            assert y.shape == (2, 3), f"{y}"
            return np.sum(y ** 2)
        """,
    "deepcopy": """
        import copy
        def loss(p):
            q = copy.deepcopy(p)
            q['a'] *= 2
            return np.sum(q['a'] * p['a']) + np.sum(copy.copy(p['b']))
        """,
    "nested targets": """
        def loss(p):
            (a, (b, c)), d = (p['a'], (p['b'], 2.0)), p['a'][0]
            [e, f] = b[:2]
            return np.sum(a[0] * e) * c + np.sum(d * f)
        """,
    "nested functions and classes": """
        def loss(p):
            class Inner:
                def f(self, x): return x * x
            return np.sum(Inner().f(p['a']))
        """,
    "augmented targets": """
        class Box: pass
        def loss(p):
            box = Box()
            box.x, box.d, box.l = p['a'].copy(), {'k': p['a'] * 1}, [p['a'] * 2, 0.0]
            box.x += p['a']; box.d['k'] *= p['a']; box.l[0] -= p['a']; box.l[-1] += np.sum(p['b'])
            box.x[0] /= 2; box.x[:, 1] **= 2; box.x[[0, 1], [2, 0]] *= 3; box.x @= np.eye(3)
            return np.sum(box.x * box.d['k'] * box.l[0]) * box.l[1]
        """,
    "unpacking an array": """
        def loss(p):
            (x, y, z), w = p['a']
            return x * y + z * w[0] * w[1]
        """,
    "apply_along_axis": "def loss(p): return np.sum(np.apply_along_axis(lambda r: r ** 3 / np.sum(r * r), 1, p['a']))",
    "vectorize": """
        import math
        f = np.vectorize(lambda x: math.sin(x) * 2)
        def loss(p): return np.sum(f(p['a']) ** 2)
        """,
    "joining onto an array without entries": """
        def loss(p):
            rows, flat = np.empty((0, 3)), np.array([])
            for row in p['a']:
                rows, flat = np.vstack([rows, np.tanh(row)]), np.append(flat, row * row)
            joined = np.concatenate([np.append([], p['b'][0]), flat], 0)
            return np.sum(rows ** 2) + flat @ joined[:6] + np.hstack((np.zeros((2, 0)), p['a']))[1, 2]
        """,
    "operators between arrays and lists": """
        def loss(p):
            W, d = p['b'], p['a'] * 1.0
            d *= [2, 0.5, 1]
            d -= ([W[0, 0], W[1, 1], 1.0], W[2])
            mask = [1, 0, 3]
            e = d * mask + range(3) - (0.1, 0.2, 0.3)
            mask[0] = 9
            return np.sum(e ** 2) + np.sum([W[0], [1.0, 2.0, 3.0]] @ W / [[2], [4]]) + np.sum(d ** [2, 1, 3])
        """,
    "lists that grow by arrays": """
        def loss(p):
            items = [1.0]
            items.extend(p['a'][0])
            items.extend(p['a'][1])
            items[:1] = p['b'][2]
            array = list(p['b'][0])
            array += p['b'][1]
            return sum(k * x * x for k, x in enumerate(items)) * np.sum(array ** 2)
        """,
    "map of what is none of the user's": """
        import math
        from operator import mul
        def loss(p):
            i, g = map(np.tanh, np.split(p['b'], [1]))
            h = np.array(list(map(math.sin, p['a'][0]))) * list(map(float, p['a'][1]))
            return np.sum(i * g) + np.sum(sum(map(np.outer, p['a'], p['b']))) * sum(map(mul, h, h)) + sum(map(abs, h))
        """,
    "functions that call others from within C": """
        from functools import reduce
        from itertools import accumulate, starmap
        from operator import add, mul
        def loss(p):
            total = sum(starmap(np.dot, zip(p['a'], p['b'])))
            *_, last = accumulate(p['b'], mul)
            total *= np.sum(reduce(np.multiply, p['b'], p['a'][1])) + max(p['a'][0, :1], 0.1)[0]
            return total * reduce(add, p['a'][0]) * np.sum(last) + sum(accumulate(p['a'][1])) ** 2
        """,
    "a library's function with a value in it": """
        from functools import partial
        def loss(p): return np.sum(partial(np.multiply, p['a'])(p['b'][:2])) * partial(np.sum, axis=0)(p['a'])[1]
        """,
    "np.r_ and np.c_": """
        def loss(p):
            W = np.r_[p['a'], p['b'], np.ones((1, 3))]
            x = np.r_[p['b'][0], 0:2, p['a'][0, 0]]
            return np.sum(np.tanh(x @ W)) + np.sum(np.c_[np.ones(3), p['b'], p['a'][0]] ** 2) + x[np.s_[1:]] @ x[:-1]
        """,
    "copies of objects": """
        import copy, pickle
        from collections import deque
        from dataclasses import asdict, astuple, dataclass
        @dataclass
        class State:
            h: object
            c: object = 2.0
        class Slots:
            __slots__ = ("x",)
        class Net:
            def __init__(self, p): self.layers, self.again = [State(p['a']), State(p['b'])], self
        def loss(p):
            net, kept, saved = Net(p), Slots(), []
            kept.x = p['a'][1]
            state = State(np.tanh(p['a']), float(p['a'][0, 0]))
            saved.append(copy.deepcopy(state))
            state.h *= 2
            queue = copy.deepcopy(deque([state.h]))
            other = copy.deepcopy(net)
            other.layers[1].h *= net.layers[1].h
            h, c = astuple(state)
            again = pickle.loads(pickle.dumps(state))
            total = np.sum(saved[0].h * queue[0]) * c + np.sum(other.layers[1].h) * state.c
            return total + np.sum(again.h * h) * again.c + asdict(state)['h'][0] @ copy.deepcopy(kept).x
        """,
    "stars before arrays of numbers": """
        def f(x, y, *rest): return x * y + sum(z * z for z in rest)
        def loss(p):
            row = p['b'][0]
            first, *rest = p['a'][0]
            *others, last = p['a'][1]
            x, y, z, w = (1.5, *row)
            return f(*row) * first + rest[0] * others[1] * last + np.prod([*row]) + max(*row) + x * y * z * w
        """,
    "what goes through all entries": """
        def loss(p):
            d, e = np.zeros((3, 3)), np.zeros((2, 3)).T
            d.flat = p['a']
            d[1] = p['b'].flat[2:5]
            d.flat[::4] += p['b'].flat[:3]
            e.flat[1:5] = p['a'][0, :2]
            e.flat = e * 2
            flat = np.hstack([p['a'].T.flat, p['b'][0]])
            theta = np.zeros(9)
            theta[:] = p['b'].flat
            total = np.sum(p['a'].flat) + sum(k * v for k, v in enumerate(p['b'].T.flat))
            for (i, j), v in np.ndenumerate(p['a'].T):
                total = total + (i + 2 * j) * v * v
            return total * np.sum(d ** 2) + np.sum(e ** 3) + flat @ theta
        """,
    "nditer": """
        def loss(p):
            total, it = 0.0, np.nditer(p['a'], flags=['multi_index'])
            while not it.finished:
                total += float(it[0]) ** 2
                it.iternext()
            for v in np.nditer(p['b']):
                total = total + np.sin(v)
            return total + sum(float(x * y) for x, y in np.nditer([p['a'], p['b'][:2]]))
        """,
    "a loop over what it writes": """
        def loss(p):
            h, d = np.zeros(4), p['b'].flatten()
            for t, (x, before) in enumerate(zip(p['a'][0], h)):
                h[t + 1] = np.tanh(x + p['a'][1, 0] * before)
            for k, v in enumerate(d[:-1]):
                d[k + 1] += 0.1 * v * v
            for v in (both := iter(d)):
                d[5] = v + next(both, 0.0)
            return h @ h + d[8] * d[5]
        """,
    "a deque": """
        from collections import deque
        def loss(p):
            q, numbers = deque(p['a'], maxlen=2), deque(p['b'][0])
            q.append(np.tanh(q[0]))
            numbers.extend(p['b'][1])
            return np.sum(np.stack(q) ** 2) + np.sum(q, axis=0)[1] * np.sum(np.array(numbers) ** 3)
        """,
    "what makes one value of a generator": """
        import math
        def loss(p):
            x = np.fromiter((v * v for v in p['a'][0]), float)
            y = np.fromiter(iter(p['b'][0]), float, count=2)
            return x[1] * y[1] * math.fsum(v * v for v in p['a'][1]) + math.prod(v for v in p['b'][1])
        """,
    "itertools": """
        from itertools import chain, combinations, islice, pairwise, product, repeat, zip_longest
        def loss(p):
            a, b = p['a'][0], p['b'][0]
            total = sum(x * y for x, y in pairwise(a)) + sum(x * y for x, y in product(a, b)) + sum(islice(b, 2)) ** 2
            total += sum(x * y for x, y in combinations(b, 2)) + sum(v ** 3 for v in chain(a, b))
            total += sum(x * y for x, y in zip_longest(a, b[:2], fillvalue=2.0)) + sum(map(np.sum, repeat(b, 2)))
            return total * sum(v * v for v in chain.from_iterable(p['a']))
        """,
    "subscripts of a number": "def loss(p): return np.sum(p['a'])[()] * np.sum(p['b'])[None][0] * np.sum(p['a'])[...]",
    "matrices whose product is a star": """
        def loss(p):
            M = np.matrix(p['a']) * p['b']
            M *= np.asmatrix(p['b']) * 0.5
            return np.sum(np.asarray(M * M.T) ** 2) + np.sum(np.multiply(M, M))
        """,
    "more arguments than two, or none for out": """
        import math
        def loss(p):
            x, y, z = p['a'][0]
            return math.hypot(x, y, z) * np.sum(p['b'], 0, None, None, True)[0, 1] + math.hypot(x, y) + math.hypot(z)
        """,
    "a library function": "def loss(p): return np.sum(np.linalg.inv(p['a'] @ p['a'].T + 2 * np.eye(2)))",
}

#: those in which differences of a call are taken
OPAQUE = (
    "apply_along_axis",
    "vectorize",
    "a library function",
    "what makes one value of a generator",
    "more arguments than two, or none for out",
)


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_construct_is_followed(name, tmp_path):
    """The derivative would end, or be that of another value, where code is written this way."""
    made = module(tmp_path, "import numpy as np\n" + textwrap.dedent(PROGRAMS[name]))
    run = check(target_of(made, a=draw(2, 3), b=draw(3, 3, seed=1)))
    if name not in OPAQUE:
        assert not run.opaque


def test_a_constant_that_max_chooses_is_a_value(tmp_path):
    """A line that holds a derivative at zero with max() would be passed over."""
    made = module(tmp_path, "import numpy as np\ndef loss(p): return max(0.0, float(np.sum(p['a'])) - 99.0) * 2.0")
    run = check(target_of(made, a=draw(2, 3)))
    assert [node.value for node in run.nodes if node.op == "max"] == [0.0]


def test_every_place_has_its_text(tmp_path):
    """A line would be quoted that is not the one meant."""
    made = module(
        tmp_path,
        """
        import numpy as np
        def double(é, x):
            return 2 * x
        def loss(p):
            é = "é"; y = double(é, p["a"]) * p["a"]
            return y.sum()
        """,
    )
    run = check(target_of(made, a=draw(2, 3)))
    texts = {node.place.text: node for node in run.nodes if node.place is not None}
    assert {'double(é, p["a"]) * p["a"]', "2 * x", 'double(é, p["a"])', "y.sum()"} <= set(texts)
    assert texts["2 * x"].place.function == "double"
    assert texts["2 * x"].place.statement.text == "return 2 * x"
    assert [place.text for place in texts["2 * x"].call.stack][-1] == 'double(é, p["a"])'


def test_calls_of_a_helper_are_told_apart(tmp_path):
    """A helper used in two places would be blamed for one of them."""
    made = module(
        tmp_path,
        """
        import numpy as np
        def f(x):
            return x * x
        def loss(p):
            return np.sum(f(p["a"])) + np.sum(f(f(p["a"])))
        """,
    )
    run = check(target_of(made, a=draw(2, 3)))
    inside = [node for node in run.nodes if node.op == "multiply"]
    assert [node.execution for node in inside] == [0, 1, 2]
    assert len({node.call.place.number for node in inside}) == 3
    handed = [node for node in run.nodes[: run.boundary] if node.op == "argument" and node.place.function == "loss"]
    assert len(handed) == 2
    assert all(run.derivative(node) is not None for node in handed)


def test_results_are_the_same_objects_kinds(tmp_path):
    """Code that looks at its values would take another path while it is taped."""
    made = module(
        tmp_path,
        """
        import numpy as np
        def loss(p):
            x = p["a"]
            y = x[0]
            assert y.base is x and type(x[0, 0]) is np.float64 and type(float(x[0, 0])) is float
            assert [*map(id, [x])] == [id(x)] and (x,)[0] is x and locals()["x"] is x
            assert type(sum([1, 2])) is int and (lambda: x)() is x
            return np.sum(y)
        """,
    )
    check(target_of(made, a=draw(2, 3)))
