"""Leaky reservoir with a trained leak, scikit-learn manners: fit / predict / score, one flat coefficient vector for L-BFGS."""
import numpy as np


class NotFittedError(ValueError):
    pass


class LeakyReservoirRegressor:
    """
    Parameters
    ----------
    n_units : int
        Size of the reservoir. Its recurrent matrix is drawn once and never trained.
    alpha : float
        L2 penalty of the read-out (not of the intercept), as in Ridge.
    washout : int
        Steps at the start that do not count in the loss.
    """

    def __init__(self, n_units=3, alpha=0.05, washout=1, max_iter=50, tol=1e-6, learning_rate=0.05, random_state=None):
        self.n_units = n_units
        self.alpha = alpha
        self.washout = washout
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.random_state = random_state

    # -- flat vector <-> named blocks ---------------------------------------------------------------------------------
    def _layout(self):
        n, d, k = self.n_units, self.n_features_in_, self.n_outputs_
        return [("input", (n, d)), ("shift", (n,)), ("leak", (n,)), ("radius", (1,)), ("readout", (k, n + d)), ("intercept", (k,))]

    def _unpack(self, flat):
        """Views, not copies."""
        start, views = 0, []
        for _, shape in self._layout():
            size = int(np.prod(shape))
            views.append(flat[start:start + size].reshape(shape))
            start += size
        return views

    def _initialise(self, X, y, rng):
        self.n_features_in_, self.n_outputs_ = X.shape[2], y.shape[2]
        n = self.n_units
        self.reservoir_ = rng.normal(size=(n, n)) / np.sqrt(n)
        self.start_ = rng.normal(size=n) * 0.5
        self.washout_ = min(self.washout, X.shape[1] - 1)
        size = sum(int(np.prod(s)) for _, s in self._layout())
        self.coef_ = rng.normal(size=size) * 0.6
        return self

    # -- states -------------------------------------------------------------------------------------------------------
    def _run(self, flat, X):
        W_in, shift, leak, radius, W_out, intercept = self._unpack(flat)
        a = 1.0 / (1.0 + np.exp(-leak))
        s = np.tile(self.start_, (len(X), 1))
        states, candidates, echoes, predictions = [s], [], [], []
        for t in range(X.shape[1]):
            echo = s @ self.reservoir_.T
            u = np.tanh(X[:, t] @ W_in.T + radius * echo + shift)
            s = (1.0 - a) * s + a * u
            states.append(s)
            candidates.append(u)
            echoes.append(echo)
            predictions.append(np.hstack([s, X[:, t]]) @ W_out.T + intercept)
        return a, states, candidates, echoes, predictions

    def _loss(self, flat, X, y):
        predictions = np.stack(self._run(flat, X)[-1], axis=1)
        residual = (predictions - y)[:, self.washout_:]
        W_out = self._unpack(flat)[4]
        return float(0.5 * np.mean(np.sum(residual ** 2, axis=2)) + 0.5 * self.alpha * np.sum(W_out ** 2))

    def _gradient(self, flat, X, y):
        W_in, shift, leak, radius, W_out, intercept = self._unpack(flat)
        a, states, candidates, echoes, predictions = self._run(flat, X)
        n_samples, n_steps, _ = X.shape
        n = self.n_units
        out = np.zeros_like(flat)
        g_in, g_shift, g_leak, g_radius, g_out, g_intercept = self._unpack(out)
        g_a = np.zeros_like(leak)
        g_out += self.alpha * W_out
        weight = 1.0 / (n_samples * (n_steps - self.washout_))
        delta = np.zeros((n_samples, n))
        for t in range(n_steps - 1, -1, -1):
            s, s_prev, u, echo = states[t + 1], states[t], candidates[t], echoes[t]
            if t >= self.washout_:
                err = weight * (predictions[t] - y[:, t])
                g_out[:, :n] += err.T @ s
                g_out[:, n:] += err.T @ X[:, t]
                g_intercept += err.sum(axis=0)
                delta = delta + err @ W_out[:, :n]
            g_a += np.sum(delta * (u - s_prev), axis=0)
            d_pre = delta * a * (1.0 - u ** 2)
            g_in += d_pre.T @ X[:, t]
            g_shift += d_pre.sum(axis=0)
            g_radius += np.sum(d_pre * echo)
            delta = delta * (1.0 - a) + radius * (d_pre @ self.reservoir_)
        g_leak += g_a * a * (1.0 - a)
        return out

    # -- public -------------------------------------------------------------------------------------------------------
    def fit(self, X, y):
        rng = np.random.default_rng(self.random_state)
        self._initialise(X, y, rng)
        last = np.inf
        for self.n_iter_ in range(1, self.max_iter + 1):
            self.coef_ -= self.learning_rate * self._gradient(self.coef_, X, y)
            now = self._loss(self.coef_, X, y)
            if abs(last - now) < self.tol:
                break
            last = now
        return self

    def predict(self, X):
        if not hasattr(self, "coef_"):
            raise NotFittedError("call fit first")
        return np.stack(self._run(self.coef_, X)[-1], axis=1)

    def score(self, X, y):
        r = self.predict(X) - y
        return 1.0 - np.sum(r ** 2) / np.sum((y - y.mean(axis=(0, 1))) ** 2)

    def get_params(self, deep=True):
        return {k: getattr(self, k) for k in ("n_units", "alpha", "washout", "max_iter", "tol", "learning_rate", "random_state")}


def make(Target, rng, T=4, B=3, D=2, H=3):
    X, y = rng.normal(size=(B, T, D)), rng.normal(size=(B, T, 2))
    est = LeakyReservoirRegressor(n_units=H)._initialise(X, y, rng)
    return Target({"coef": est.coef_}, lambda: est._loss(est.coef_, X, y), lambda: {"coef": est._gradient(est.coef_, X, y)})


BUGS = {
    "view-rebound": ("g_in += d_pre.T @ X[:, t]", "g_in = g_in + d_pre.T @ X[:, t]"),
    "leak-logit-slope-missing": ("g_leak += g_a * a * (1.0 - a)", "g_leak += g_a"),
    "leak-sees-new-state": ("g_a += np.sum(delta * (u - s_prev), axis=0)", "g_a += np.sum(delta * (u - s), axis=0)"),
    "washout-off-by-one": ("if t >= self.washout_:", "if t > self.washout_:"),
    "ridge-factor-two": ("g_out += self.alpha * W_out", "g_out += 2 * self.alpha * W_out"),
    "reservoir-transposed": ("delta = delta * (1.0 - a) + radius * (d_pre @ self.reservoir_)", "delta = delta * (1.0 - a) + radius * (d_pre @ self.reservoir_.T)"),
    "readout-wrong-columns": ("delta = delta + err @ W_out[:, :n]", "delta = delta + err @ W_out[:, -n:]"),
    "intercept-line-lost": ("g_intercept += err.sum(axis=0)", ""),
}

PAIRS = [("leak-logit-slope-missing", "ridge-factor-two"), ("view-rebound", "reservoir-transposed")]
