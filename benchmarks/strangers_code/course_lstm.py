"""Character-level LSTM written like the programming exercise of an online course.

Shapes: x is (n_x, m, T_x), a is (n_a, m, T_x), y is (n_v, m, T_x).
"""
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e_x = np.exp(x - np.max(x, axis=0, keepdims=True))
    return e_x / e_x.sum(axis=0, keepdims=True)


def lstm_cell_forward(xt, a_prev, c_prev, parameters):
    concat = np.concatenate((a_prev, xt), axis=0)
    ft = sigmoid(np.dot(parameters["Wf"], concat) + parameters["bf"])
    it = sigmoid(np.dot(parameters["Wi"], concat) + parameters["bi"])
    cct = np.tanh(np.dot(parameters["Wc"], concat) + parameters["bc"])
    c_next = ft * c_prev + it * cct
    ot = sigmoid(np.dot(parameters["Wo"], concat) + parameters["bo"])
    a_next = ot * np.tanh(c_next)
    yt_pred = softmax(np.dot(parameters["Wy"], a_next) + parameters["by"])
    cache = (a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters)
    return a_next, c_next, yt_pred, cache


def lstm_forward(x, parameters):
    n_x, m, T_x = x.shape
    n_y, n_a = parameters["Wy"].shape
    a = np.zeros((n_a, m, T_x))
    y = np.zeros((n_y, m, T_x))
    caches = []
    a_next = np.tile(parameters["a0"], (1, m))
    c_next = np.zeros((n_a, m))
    for t in range(T_x):
        a_next, c_next, yt, cache = lstm_cell_forward(x[:, :, t], a_next, c_next, parameters)
        a[:, :, t] = a_next
        y[:, :, t] = yt
        caches.append(cache)
    return a, y, caches


def lstm_cell_backward(da_next, dc_next, cache):
    (a_next, c_next, a_prev, c_prev, ft, it, cct, ot, xt, parameters) = cache
    n_a, m = a_next.shape
    Wf, Wi, Wc, Wo = [parameters[k] for k in ("Wf", "Wi", "Wc", "Wo")]

    # gate derivatives (with respect to the pre-activations)
    dot = da_next * np.tanh(c_next) * ot * (1 - ot)
    dc = dc_next + da_next * ot * (1 - np.tanh(c_next) ** 2)
    dcct = dc * it * (1 - cct ** 2)
    dit = dc * cct * it * (1 - it)
    dft = dc * c_prev * ft * (1 - ft)

    # parameter derivatives
    concat = np.concatenate((a_prev, xt), axis=0)
    gradients = {
        "dWf": np.dot(dft, concat.T), "dbf": np.sum(dft, axis=1, keepdims=True),
        "dWi": np.dot(dit, concat.T), "dbi": np.sum(dit, axis=1, keepdims=True),
        "dWc": np.dot(dcct, concat.T), "dbc": np.sum(dcct, axis=1, keepdims=True),
        "dWo": np.dot(dot, concat.T), "dbo": np.sum(dot, axis=1, keepdims=True),
    }

    # previous hidden state, previous memory state, input
    da_prev = np.dot(Wf[:, :n_a].T, dft) + np.dot(Wi[:, :n_a].T, dit)
    da_prev += np.dot(Wc[:, :n_a].T, dcct) + np.dot(Wo[:, :n_a].T, dot)
    dxt = np.dot(Wf[:, n_a:].T, dft) + np.dot(Wi[:, n_a:].T, dit)
    dxt += np.dot(Wc[:, n_a:].T, dcct) + np.dot(Wo[:, n_a:].T, dot)
    gradients["da_prev"] = da_prev
    gradients["dc_prev"] = dc * ft
    gradients["dxt"] = dxt
    return gradients


def lstm_backward(da, caches, parameters):
    n_a, m, T_x = da.shape
    n_x = caches[0][8].shape[0]
    dx = np.zeros((n_x, m, T_x))
    totals = {k: np.zeros_like(parameters[k]) for k in
              ("Wf", "bf", "Wi", "bi", "Wc", "bc", "Wo", "bo")}
    da_prevt = np.zeros((n_a, m))
    dc_prevt = np.zeros((n_a, m))
    for t in reversed(range(T_x)):
        gradients = lstm_cell_backward(da[:, :, t] + da_prevt, dc_prevt, caches[t])
        da_prevt = gradients["da_prev"]
        dc_prevt = gradients["dc_prev"]
        dx[:, :, t] = gradients["dxt"]
        for k in totals:
            totals[k] += gradients["d" + k]
    totals["a0"] = np.sum(da_prevt, axis=1, keepdims=True)
    return totals, dx


def make(Target, rng, n_x=3, n_a=4, n_v=5, m=3, T_x=4):
    params = {"E": rng.normal(size=(n_x, n_v)), "a0": 0.5 * rng.normal(size=(n_a, 1))}
    for g in "fico":
        params["W" + g] = 0.6 * rng.normal(size=(n_a, n_a + n_x))
        params["b" + g] = 0.3 * rng.normal(size=(n_a, 1))
    params["Wy"] = rng.normal(size=(n_v, n_a))
    params["by"] = 0.3 * rng.normal(size=(n_v, 1))
    tokens = rng.integers(0, n_v, size=(m, T_x + 1))
    inp, out = tokens[:, :-1], tokens[:, 1:]
    Y = np.eye(n_v)[:, out]

    def loss():
        _, y, _ = lstm_forward(params["E"][:, inp], params)
        return float(-np.sum(Y * np.log(y)) / m)

    def grads():
        a, y, caches = lstm_forward(params["E"][:, inp], params)
        dz = (y - Y) / m
        da = np.zeros_like(a)
        dWy = np.zeros_like(params["Wy"])
        for t in range(T_x):
            dWy += np.dot(dz[:, :, t], a[:, :, t].T)
            da[:, :, t] = np.dot(params["Wy"].T, dz[:, :, t])
        g, dx = lstm_backward(da, caches, params)
        g["Wy"] = dWy
        g["by"] = dz.sum(axis=(1, 2)).reshape(-1, 1)
        g["E"] = np.zeros_like(params["E"])
        np.add.at(g["E"], (slice(None), inp), dx)
        return g

    return Target(params, loss, grads)


BUGS = {
    "candidate-tanh-derivative": ("dcct = dc * it * (1 - cct ** 2)", "dcct = dc * it * (1 - cct)"),
    "forget-gate-saved-c-next": ("dft = dc * c_prev * ft * (1 - ft)", "dft = dc * c_next * ft * (1 - ft)"),
    "da-prev-overwritten": ("da_prev += np.dot(Wc[:, :n_a].T, dcct)", "da_prev = np.dot(Wc[:, :n_a].T, dcct)"),
    "dxt-output-gate-forgotten": ("dxt += np.dot(Wc[:, n_a:].T, dcct) + np.dot(Wo[:, n_a:].T, dot)", "dxt += np.dot(Wc[:, n_a:].T, dcct)"),
    "dc-carry-without-tanh-path": ("gradients[\"dc_prev\"] = dc * ft", "gradients[\"dc_prev\"] = dc_next * ft"),
    "da-carry-dropped": ("lstm_cell_backward(da[:, :, t] + da_prevt, dc_prevt, caches[t])", "lstm_cell_backward(da[:, :, t], dc_prevt, caches[t])"),
    "missing-one-over-m": ("dz = (y - Y) / m", "dz = y - Y"),
    "embedding-repeats-lost": ("np.add.at(g[\"E\"], (slice(None), inp), dx)", "g[\"E\"][:, inp] += dx"),
}
PAIRS = [("candidate-tanh-derivative", "embedding-repeats-lost"), ("forget-gate-saved-c-next", "da-carry-dropped")]
