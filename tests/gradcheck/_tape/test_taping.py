"""What a taped run tells of a target, and that it leaves everything as it was."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._tape import TapeError, TapeTooLargeError, tape_forward, tape_target
from tests.gradcheck._tape.programs import draw, module, target_of

NET = """
    import numpy as np
    memory = {}
    class Cell:
        def __init__(self): self.saved = []
        def forward(self, x, W):
            z = x @ W
            y = np.tanh(z)
            self.saved.append((x, W, y, z))
            return y
        def backward(self, dy):
            x, W, y, unused = self.saved.pop()
            dz = dy * (1 - y ** 2)
            return dz @ W.T, x.T @ dz
    def loss(p):
        memory["cells"] = [Cell(), Cell()]
        h = p["a"]
        for cell in memory["cells"]:
            h = cell.forward(h, p["b"])
        memory["h"] = h
        return 0.5 * np.sum((h - 1) ** 2)
    def grads(p):
        loss(p)
        dh, db = memory["h"] - 1, np.zeros_like(p["b"])
        for cell in reversed(memory["cells"]):
            dh, d = cell.backward(dh)
            db += d
        return {"a": dh, "b": db}
"""


@pytest.fixture
def net(tmp_path):
    """A target whose gradients are right, and which calls its loss again."""
    return target_of(module(tmp_path, NET), a=draw(2, 3), b=draw(3, 3, seed=1))


def test_right_gradients_are_the_true_ones(net):
    """Right code would be told to be wrong."""
    run = tape_target(net, net.values())
    for name, value in run.gradients.items():
        np.testing.assert_allclose(run.true_gradients[name], value, rtol=1e-12, atol=1e-14)
        np.testing.assert_array_equal(value, net.grads_at(net.values())[name])
    assert all(node is not None for node in run.sinks.values())
    assert run.leaves["a"].label == "a"
    assert not run.opaque
    assert not run.untraced


def test_what_the_gradients_calculate_again_is_forward(net):
    """Code whose backward runs the forward again would have no derivatives of what it reads."""
    run = tape_target(net, net.values())
    again = [node for node in run.nodes[run.boundary :] if node.op == "tanh"]
    first = [node for node in run.nodes[: run.boundary] if node.op == "tanh"]
    assert len(again) == len(first) == 2
    for one, twin in zip(again, first, strict=True):
        assert run.is_forward(one)
        assert run.is_forward(twin)
        np.testing.assert_array_equal(run.derivative(one), run.derivative(twin))
    products = [node for node in run.nodes if node.place is not None and node.place.text == "x.T @ dz"]
    assert products
    assert not any(run.is_forward(node) for node in products)


def test_sensitivities_are_what_an_override_does(net):
    """A line that cannot be at fault would be accused, or one that is at fault cleared."""
    run = tape_target(net, net.values())
    rng = np.random.default_rng(0)
    projections = {name: rng.standard_normal((3, *value.shape)) for name, value in run.gradients.items()}
    found = run.sensitivities(projections)

    def projected(gradients):
        return sum(np.tensordot(projections[name], value, value.ndim) for name, value in gradients.items())

    places = {}
    for node in run.nodes:
        if node.place is not None and node.cell is not None and isinstance(node.value, np.ndarray):
            places[node.place, node.execution] = node
    assert {key[0].kind for key in places} >= {"operation", "call", "argument", "element", "augment", "read", "bind"}
    with run.program.installed():  # what runs in it need not look for the functions each time
        for key, node in places.items():
            move = rng.standard_normal(node.shape)
            up, down = (projected(run.overrides({key: node.value + sign * 1e-5 * move})) for sign in (1, -1))
            expected = found[node.index] @ move.ravel() if node.index in found else np.zeros(3)
            np.testing.assert_allclose((up - down) / 2e-5, expected, rtol=1e-4, atol=1e-6, err_msg=repr(node))


def test_uses_add_up_to_the_derivative(net):
    """The part that an incomplete sum lacks would not be found."""
    run = tape_target(net, net.values())
    total = {}
    for (consumer, operand), part in run.contributions.items():
        source = run.nodes[consumer].inputs[operand].index
        total[source] = total.get(source, 0) + part
    for index, value in total.items():
        np.testing.assert_allclose(value, run.derivatives[index], rtol=1e-12, atol=1e-14)


def test_what_is_never_read_is_told(net):
    """A carry that is unpacked and forgotten, the surest sign of a bug, would not be seen."""
    run = tape_target(net, net.values())
    unread = {binding.place.name for binding in run.bindings if not binding.reads}
    assert "unused" in unread
    assert not unread & {"x", "W", "y", "dz", "dh", "db", "z", "h"}


def test_writes_into_what_was_handed_over_are_told(tmp_path):
    """A cotangent that is written into would not be named."""
    made = module(
        tmp_path,
        """
        import numpy as np
        def forward(x): return np.tanh(x), x
        def backward(dy, x):
            dy *= 1 - np.tanh(x) ** 2
            g = np.zeros_like(x)
            g[0] += dy[0]
            return (g,)
        """,
    )
    target = gradcheck.Target.from_vjp(made.forward, made.backward, {"x": draw(2, 3)})
    target.draw_cotangents(np.random.default_rng(0))
    run = tape_target(target, target.values())
    assert [write.label for write in run.writes if write.label] == ["cotangent[0]"]
    assert run.writes[0].place.text == "dy"
    assert run.leaves["x"].label == "x"
    np.testing.assert_allclose(run.true_gradients["x"][0], run.gradients["x"][0])


def test_a_pure_function(tmp_path):
    """Targets that return both at once would have no tape."""
    made = module(tmp_path, "import numpy as np\ndef f(p): return np.sum(p['x'] ** 2), {'x': 2 * p['x']}")
    target = gradcheck.Target.from_function(made.f, {"x": draw(2, 3)})
    run = tape_target(target, target.values())
    np.testing.assert_allclose(run.true_gradients["x"], run.gradients["x"])
    assert run.sinks["x"].op == "multiply"
    np.testing.assert_allclose(tape_forward(target, target.values()).true_gradients["x"], run.gradients["x"])


def test_single_precision(tmp_path):
    """Values would be widened, or derivatives rounded."""
    target = target_of(module(tmp_path, NET), np.float32, a=draw(2, 3), b=draw(3, 3, seed=1))
    run = tape_target(target, target.values())
    assert {node.value.dtype for node in run.nodes if isinstance(node.value, np.ndarray)} == {np.dtype(np.float32)}
    for name, value in target.grads_at(target.values()).items():
        np.testing.assert_array_equal(run.gradients[name], value)
        assert run.true_gradients[name].dtype == np.float64
        np.testing.assert_allclose(run.true_gradients[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_an_exception_leaves_everything_as_it_was(error, tmp_path):
    """The user's functions would go on being recorded."""
    made = module(tmp_path, NET)
    made.armed = False
    target = target_of(made, a=draw(2, 3), b=draw(3, 3, seed=1))
    base, code, names = target.values(), made.loss.__code__, set(vars(made))
    original = made.Cell.backward.__code__

    def tanh(x):
        if made.armed:
            made.armed -= 1
            if not made.armed:
                target._params["a"][...] = 7
                raise error("no")
        return np.tanh(x)

    made.np = type("np", (), {"tanh": staticmethod(tanh), "sum": np.sum, "zeros_like": np.zeros_like})
    made.armed = 5  # after the run that finds what to rewrite
    with pytest.raises((TapeError, error)):
        tape_target(target, base)
    assert made.loss.__code__ is code
    assert made.Cell.backward.__code__ is original
    assert set(vars(made)) == names
    for name, value in target.values().items():
        np.testing.assert_array_equal(value, base[name])
    made.armed = False
    assert tape_target(target, base).loss is not None


def test_nothing_is_left_behind(net):
    """Later checks would run rewritten code, or find other values."""
    base = net.values()
    before = net.loss_at(base)
    run = tape_target(net, base)
    code = next(iter(run.program.codes))
    assert code.co_consts
    assert not any(type(one).__name__ == "Switch" for one in code.co_consts)
    values = [None if node.cell is None else np.copy(node.value) for node in run.nodes]
    net.problem.arrays()["a"][...] = 0
    net.loss_at({name: value * 2 for name, value in base.items()})
    for node, value in zip(run.nodes, values, strict=True):
        if value is not None:
            np.testing.assert_array_equal(node.value, value)
    assert net.loss_at(base) == before


def test_the_budget_is_kept(net):
    """A large model would take all memory."""
    with pytest.raises(TapeTooLargeError):
        tape_target(net, net.values(), budget=200)
    assert tape_target(net, net.values()).bytes < 100_000


def test_a_forward_alone(tmp_path):
    """Where the gradients raise, nothing would be known of the forward either."""
    made = module(
        tmp_path, "import numpy as np\ndef loss(p): return np.sum(p['a'] ** 2)\ndef grads(p): raise ValueError"
    )
    target = target_of(made, a=draw(2, 3))
    run = tape_forward(target, target.values())
    np.testing.assert_allclose(run.true_gradients["a"], 2 * target.values()["a"])
    assert not run.sinks


def test_scopes_are_copies(net):
    """A candidate for a line would be evaluated with the values of a later moment."""
    run = tape_target(net, net.values())
    place = next(place for place in run.places if place.text == "dy * (1 - y ** 2)")
    assert run.executions(place) == 2
    scopes = run.scopes(place)
    assert len(scopes) == 2
    for (local, glob), node in zip(scopes, [n for n in run.nodes if n.place is place], strict=True):
        np.testing.assert_array_equal(local["dy"] * (1 - local["y"] ** 2), node.value)
        assert "memory" in glob
        assert not any(name.startswith("_gradcheck") for name in local)
    assert len(run.scopes(place, [1])) == 1


def test_gradients_in_lists(tmp_path):
    """Code without arrays would have no sinks, and so no line."""
    made = module(
        tmp_path,
        """
        def loss(p): return sum(v ** 3 for row in p["a"] for v in row)
        def grads(p):
            da = [[0.0] * 3 for _ in range(2)]
            for i, row in enumerate(p["a"]):
                for j, v in enumerate(row):
                    da[i][j] += 3 * v ** 2
            return {"a": da}
        """,
    )
    target = target_of(made, a=draw(2, 3))
    run = tape_target(target, target.values())
    assert run.sinks["a"].shape == (2, 3)
    squares = [node for node in run.backward if node.place is not None and node.place.text == "v ** 2"]
    found = run.sensitivities({"a": np.ones((1, 2, 3))})
    assert [float(found[node.index][0, 0]) for node in squares] == [3.0] * 6


def test_what_outlives_the_run_adds_nothing(tmp_path):
    """A run would change while later calls of the code go through an iterator that was made on the tape."""
    made = module(
        tmp_path,
        """
        import numpy as np
        kept = []
        def loss(p):
            kept[:] = [iter(p["a"]), map(np.tanh, p["a"]), np.ndenumerate(p["a"]), iter(p["a"].flat)]
            return np.sum(p["a"])
        """,
    )
    target = target_of(made, a=draw(2, 3))
    run = tape_target(target, target.values())
    count = len(run.nodes)
    assert [len(list(one)) for one in made.kept] == [2, 2, 6, 6]
    assert len(run.nodes) == count


def test_an_error_of_the_tape_is_its_own(tmp_path):
    """The user's code would be said to have failed where only the tape does."""
    made = module(
        tmp_path,
        """
        import sys
        import numpy as np
        def variable(name): return sys._getframe(1).f_locals[name]
        def loss(p):
            a = p["a"]
            return np.sum(variable("a") ** 2)
        """,
    )
    target = target_of(made, a=draw(2, 3))
    with pytest.raises(TapeError, match=r"the code runs, but not on the tape: loss\(\) raised KeyError"):
        tape_target(target, target.values())


def test_a_rule_that_fails_says_where(tmp_path):
    """Nobody would know which call it was that the tape has no way back through."""
    made = module(
        tmp_path,
        """
        import numpy as np
        def loss(p):
            near = np.diag(1e-6 * np.abs(p["a"]))  # to where it has no value, so that no difference can be taken
            return np.sum(np.linalg.cholesky(near))
        """,
    )
    target = target_of(made, a=draw(3))
    run = tape_target(target, target.values())
    with pytest.raises(TapeError, match=r"cannot go back through cholesky \(.*:5\): LinAlgError"):
        _ = run.true_gradients


def test_parts_of_what_was_broadcast_count_once():
    """A mean handed back to all time steps by np.broadcast_to would count as often as there are steps, for each."""
    w = np.array([0.3, -0.7, 1.1])

    def grads():
        left, right = np.split(np.broadcast_to(np.cos(w) / 2, (4, 3)), [2], axis=1)
        total = np.zeros(3)
        for t in range(4):
            total[:2] += left[t] * (t + 1)
            total[2:] += right[t] * (t + 1)
        return {"w": total / 5}

    target = gradcheck.Target({"w": w}, lambda: float(np.sum(np.sin(w))), grads)
    run = tape_target(target, target.values())
    found = run.sensitivities({"w": np.eye(3)})
    (half,) = (node for node in run.nodes[run.boundary :] if node.op == "divide" and node.place.text == "np.cos(w) / 2")
    np.testing.assert_allclose(found[half.index], 2 * np.eye(3))


BOUND = """
    import numpy as np
    x = np.linspace(-1, 1, 6).reshape(3, 2)
    class Net:
        def __init__(self, p): self.p = p
        def step(self, xt):
            d = 1 - np.tanh(np.dot(xt, self.p["a"]) + self.p["b"]) ** 2
            self.db = d
            self.da = np.outer(xt, np.dot(d, np.eye(3)))
    def loss(p):
        return sum(np.sum(np.tanh(np.dot(xt, p["a"]) + p["b"])) for xt in x)
    def grads(p):
        g, net = {}, Net(p)
        for xt in x:
            net.step(xt)
            d = 1 - np.tanh(np.dot(xt, p["a"]) + p["b"]) ** 2
            g["b"] = d
            g["a"] = np.outer(xt, np.dot(d, np.eye(3)))
        return RETURNED
"""


@pytest.mark.parametrize(
    ("returned", "statement"),
    [("g", 'g["b"] = d'), ('{name: getattr(net, "d" + name) for name in p}', "self.db = d")],
)
def test_a_gradient_stands_where_it_was_bound(returned, statement, tmp_path):
    """`=` for `+=` would not be mended where NumPy is handed the array afterwards: that call would be told."""
    target = target_of(module(tmp_path, BOUND.replace("RETURNED", returned)), a=draw(2, 3), b=draw(3, seed=1))
    run = tape_target(target, target.values())
    place = run.sinks["b"].place
    assert (place.statement.text, place.kind) == (statement, "value")
    np.testing.assert_array_equal(run.sinks["b"].value, run.gradients["b"])


def test_the_terms_of_a_loss_by_themselves(net):
    """What a backward calculates that goes back from each step anew would be no derivative of anything."""
    run = tape_target(net, net.values(), multiple=3.0)
    of_terms, uses = run.of_terms
    told = [(run.derivatives[index], each) for index, each in enumerate(of_terms) if each is not None]
    assert len(told) > len(run.leaves)
    for whole, each in told:
        assert len(each) == 2  # the rows of what the loss sums
        np.testing.assert_allclose(each.sum(axis=0), np.reshape(whole, each.shape[1:]), rtol=1e-12, atol=1e-14)
    for use, parts in uses.items():
        np.testing.assert_allclose(parts.sum(axis=0), run.contributions[use], rtol=1e-12, atol=1e-14)
