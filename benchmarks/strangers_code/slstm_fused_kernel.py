# sLSTM block (exponential gating), port of a fused kernel.
#
#   pre[t] = x[t] W + b + blockdiag(R) h[t-1]        packed gates, (B, 4H): z | i | f | o
#   m      = max(logsig(f~) + m', i~)                stabiliser
#   c      = exp(logsig(f~) + m' - m) c' + exp(i~ - m) tanh(z~)
#   n      = exp(logsig(f~) + m' - m) n' + exp(i~ - m)
#   h      = sigmoid(o~) c / n
#   y      = rmsnorm_per_head(h) * gain ;  readout, weighted squared error
#
# h does not depend on m (c and n carry the same factor), so the backward kernel holds m
# constant.  All buffers live in a workspace; the time axis of states has T + 1 slots.
import numpy as np

EPS = 1e-5


class Workspace:
    def __init__(self, T, B, NH, DH):
        H = NH * DH
        self.act = np.empty((T, B, 4 * H))      # tanh(z) | i' | f' | sigmoid(o)
        self.sigf = np.empty((T, B, H))         # sigmoid(f~), wanted by the backward
        self.c, self.n, self.m, self.h = (np.zeros((T + 1, B, H)) for _ in range(4))
        self.inv = np.empty((T, B, NH, 1))
        self.xhat = np.empty((T, B, NH, DH))
        self.dpre = np.empty((T, B, 4 * H))
        self.tmp = np.empty((B, H))


def slstm_fwd(ws, x, W, R, b):
    T, B, _ = x.shape
    NH, _, DH, _ = R.shape
    H = NH * DH
    pre = np.empty((B, 4 * H))
    for t in range(T):
        np.matmul(x[t], W, out=pre)
        pre += b
        pre += np.einsum("bnd,ngde->bgne", ws.h[t].reshape(B, NH, DH), R).reshape(B, 4 * H)
        a = ws.act[t]
        np.tanh(pre[:, :H], out=a[:, :H])
        it, ft = pre[:, H:2 * H], pre[:, 2 * H:3 * H]
        logf = -np.logaddexp(0.0, -ft)
        np.exp(logf, out=ws.sigf[t])
        np.maximum(logf + ws.m[t], it, out=ws.m[t + 1])
        np.exp(it - ws.m[t + 1], out=a[:, H:2 * H])
        np.exp(logf + ws.m[t] - ws.m[t + 1], out=a[:, 2 * H:3 * H])
        a[:, 3 * H:] = 1.0 / (1.0 + np.exp(-pre[:, 3 * H:]))
        z, i, f, o = a[:, :H], a[:, H:2 * H], a[:, 2 * H:3 * H], a[:, 3 * H:]
        np.multiply(f, ws.c[t], out=ws.c[t + 1])
        ws.c[t + 1] += i * z
        np.multiply(f, ws.n[t], out=ws.n[t + 1])
        ws.n[t + 1] += i
        np.divide(ws.c[t + 1], ws.n[t + 1], out=ws.h[t + 1])
        ws.h[t + 1] *= o


def headnorm_fwd(ws, T, B, NH, DH):
    hh = ws.h[1:].reshape(T, B, NH, DH)
    ws.inv[...] = 1.0 / np.sqrt((hh * hh).mean(-1, keepdims=True) + EPS)
    np.multiply(hh, ws.inv, out=ws.xhat)
    return ws.xhat.reshape(T, B, NH * DH)


def headnorm_bwd(ws, dxhat):
    """gradient of the loss in h[1:], shape (T, B, H)"""
    T, B, NH, DH = ws.xhat.shape
    g = dxhat.reshape(T, B, NH, DH)
    dot = (g * ws.xhat).mean(-1, keepdims=True)
    return (ws.inv * (g - ws.xhat * dot)).reshape(T, B, NH * DH)


def slstm_bwd(ws, dh_out, x, W, R):
    T, B, _ = x.shape
    NH, _, DH, _ = R.shape
    H = NH * DH
    dR = np.zeros_like(R)
    dh_rec = np.zeros((B, H))
    dc = np.zeros((B, H))
    dn = np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        a, d = ws.act[t], ws.dpre[t]
        z, i, f, o = a[:, :H], a[:, H:2 * H], a[:, 2 * H:3 * H], a[:, 3 * H:]
        c_prev, n_prev = ws.c[t], ws.n[t]
        c, n = ws.c[t + 1], ws.n[t + 1]
        dh = dh_out[t] + dh_rec
        # h = o * c / n
        np.divide(c, n, out=ws.tmp)
        np.multiply(dh, ws.tmp, out=d[:, 3 * H:])
        d[:, 3 * H:] *= o * (1.0 - o)
        dratio = dh * o / n
        dc += dratio
        dn -= dratio * ws.tmp
        # c = f c' + i z,  n = f n' + i
        np.multiply(dc, i, out=d[:, :H])
        d[:, :H] *= 1.0 - z * z
        acc = np.multiply(dc, z, out=ws.tmp)
        acc += dn
        np.multiply(acc, i, out=d[:, H:2 * H])
        acc = np.multiply(dc, c_prev, out=ws.tmp)
        acc += dn * n_prev
        np.multiply(acc, f * (1.0 - ws.sigf[t]), out=d[:, 2 * H:3 * H])
        dc *= f
        dn *= f
        d4 = d.reshape(B, 4, NH, DH)
        dR += np.einsum("bnd,bgne->ngde", ws.h[t].reshape(B, NH, DH), d4)
        dh_rec = np.einsum("bgne,ngde->bnd", d4, R).reshape(B, H)
    flat = ws.dpre.reshape(T * B, 4 * H)
    dW = x.reshape(T * B, -1).T @ flat
    return dW, dR, flat.sum(axis=0)


def make(Target, rng, T=5, B=3, D=3, NH=2, DH=3, Y=2):
    H = NH * DH
    params = {
        "W": rng.normal(size=(D, 4 * H)) * 0.6,
        "R": rng.normal(size=(NH, 4, DH, DH)) * 0.6,
        "b": rng.normal(size=4 * H) * 0.3,
        "gain": 1.0 + 0.2 * rng.normal(size=H),
        "Wy": rng.normal(size=(H, Y)) * 0.5,
    }
    x = rng.normal(size=(T, B, D))
    target = rng.normal(size=(T, B, Y))
    weight = rng.uniform(0.2, 1.5, size=(T, 1, 1))

    def forward():
        ws = Workspace(T, B, NH, DH)
        slstm_fwd(ws, x, params["W"], params["R"], params["b"])
        xhat = headnorm_fwd(ws, T, B, NH, DH)
        y = xhat * params["gain"]
        return ws, xhat, y, y @ params["Wy"] - target

    def loss():
        err = forward()[-1]
        return float(0.5 * (weight * err ** 2).sum() / B)

    def grads():
        ws, xhat, y, err = forward()
        derr = weight * err / B
        dy = derr @ params["Wy"].T
        out = {"Wy": np.tensordot(y, derr, axes=([0, 1], [0, 1]))}
        out["gain"] = (dy * xhat).sum(axis=(0, 1))
        dh_out = headnorm_bwd(ws, dy * params["gain"])
        out["W"], out["R"], out["b"] = slstm_bwd(ws, dh_out, x, params["W"], params["R"])
        return out

    return Target(params, loss, grads)


BUGS = {
    "exp-gate-as-sigmoid": ("np.multiply(acc, i, out=d[:, H:2 * H])", "np.multiply(acc, i * (1.0 - i), out=d[:, H:2 * H])"),
    "stabilised-f-for-sigmoid": ("f * (1.0 - ws.sigf[t])", "f * (1.0 - f)"),
    "quotient-sign": ("dn -= dratio * ws.tmp", "dn += dratio * ws.tmp"),
    "clobbered-dc-buffer": ("np.multiply(dc, z, out=ws.tmp)", "np.multiply(dc, z, out=dc)"),
    "rec-weight-not-transposed": ("np.einsum(\"bgne,ngde->bnd\", d4, R)", "np.einsum(\"bgne,nged->bnd\", d4, R)"),
    "state-index-off-by-one": ("c_prev, n_prev = ws.c[t], ws.n[t]", "c_prev, n_prev = ws.c[t + 1], ws.n[t + 1]"),
    "norm-projection-dropped": ("return (ws.inv * (g - ws.xhat * dot)).reshape(", "return (ws.inv * g).reshape("),
    "step-weight-missing": ("derr = weight * err / B", "derr = err / B"),
}
PAIRS = [
    ("exp-gate-as-sigmoid", "step-weight-missing"),
    ("quotient-sign", "rec-weight-not-transposed"),
    ("norm-projection-dropped", "state-index-off-by-one"),
]
