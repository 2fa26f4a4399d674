# Gated delta-rule memory (fast weights).  Big buffers live in Workspace.
#
#   k = kr / |kr|      a = sigmoid(x.wa + ba)     b = sigmoid(x.wb + bb)
#   M  = a * S_prev                  decay
#   e  = v - M k                     prediction error
#   S  = M + b * e k^T               delta rule
#   y  = (S q) * silu(u)             gated read-out
#   out = y Wo
#
# time first: x is (T, B, D); S is (T+1, B, N, N), rows = value dim, cols = key dim
import numpy as np

PROJ = ("q", "k", "v", "u")


def sigmoid_(buf):
    np.negative(buf, out=buf)
    np.exp(buf, out=buf)
    buf += 1.0
    np.reciprocal(buf, out=buf)


def matvec(A, x, out):
    np.einsum("bij,bj->bi", A, x, out=out)


def matvec_t(A, x, out):
    np.einsum("bij,bi->bj", A, x, out=out)


class Workspace:
    def __init__(self, T, B, D, N):
        e = np.empty
        self.raw = {n: e((T, B, N)) for n in PROJ}       # projections
        self.k, self.norm = e((T, B, N)), e((T, B, 1))   # normalised key
        self.a, self.b = e((T, B)), e((T, B))            # decay, write strength
        self.S = e((T + 1, B, N, N))
        self.M = e((T, B, N, N))
        self.err, self.read, self.sig = e((T, B, N)), e((T, B, N)), e((T, B, N))
        self.y, self.out = e((T, B, N)), e((T, B, D))
        # backward
        self.dout, self.dy = e((T, B, D)), e((T, B, N))
        self.draw = {n: e((T, B, N)) for n in PROJ}
        self.da, self.db = e((T, B)), e((T, B))
        self.dS, self.tmpS = e((B, N, N)), e((B, N, N))
        self.dread, self.derr, self.dk, self.tmp = e((B, N)), e((B, N)), e((B, N)), e((B, N))


def delta_fwd(p, x, ws):
    for n in PROJ:
        np.matmul(x, p["W" + n], out=ws.raw[n])
    np.matmul(x, p["wa"], out=ws.a)
    np.matmul(x, p["wb"], out=ws.b)
    ws.a += p["ba"]
    ws.b += p["bb"]
    sigmoid_(ws.a)
    sigmoid_(ws.b)
    np.sqrt((ws.raw["k"] ** 2).sum(-1, keepdims=True) + 1e-6, out=ws.norm)
    np.divide(ws.raw["k"], ws.norm, out=ws.k)
    ws.S[0] = p["S0"]
    for t in range(len(x)):
        k, M, S, err = ws.k[t], ws.M[t], ws.S[t + 1], ws.err[t]
        np.multiply(ws.a[t][:, None, None], ws.S[t], out=M)
        matvec(M, k, err)
        np.subtract(ws.raw["v"][t], err, out=err)
        np.einsum("b,bi,bj->bij", ws.b[t], err, k, out=S)
        S += M
        matvec(S, ws.raw["q"][t], ws.read[t])
    ws.sig[...] = ws.raw["u"]
    sigmoid_(ws.sig)
    np.multiply(ws.read, ws.raw["u"], out=ws.y)
    ws.y *= ws.sig
    np.matmul(ws.y, p["Wo"], out=ws.out)
    return ws.out


def delta_bwd(p, x, ws, g):
    """ws.dout holds dL/dout on entry; g is overwritten."""
    T, B, D = x.shape
    np.einsum("tbn,tbd->nd", ws.y, ws.dout, out=g["Wo"])
    np.matmul(ws.dout, p["Wo"].T, out=ws.dy)
    dq, dkr, dv, du = (ws.draw[n] for n in PROJ)
    dS, tmpS, dread, derr, dk, tmp = ws.dS, ws.tmpS, ws.dread, ws.derr, ws.dk, ws.tmp
    dS.fill(0.0)
    for t in range(T - 1, -1, -1):
        q, k, u, sg = ws.raw["q"][t], ws.k[t], ws.raw["u"][t], ws.sig[t]
        a, b = ws.a[t], ws.b[t]
        # gate: y = read * u * sig(u)
        np.multiply(ws.dy[t], u * sg, out=dread)
        np.multiply(ws.dy[t] * ws.read[t], sg * (1.0 + u * (1.0 - sg)), out=du[t])
        # read = S q
        matvec_t(ws.S[t + 1], dread, dq[t])
        np.einsum("bi,bj->bij", dread, q, out=tmpS)
        dS += tmpS
        # S = M + b e k^T
        matvec(dS, k, tmp)
        np.einsum("bi,bi->b", tmp, ws.err[t], out=ws.db[t])
        np.multiply(tmp, b[:, None], out=derr)
        matvec_t(dS, ws.err[t], dk)
        dk *= b[:, None]
        # e = v - M k
        dv[t] = derr
        matvec_t(ws.M[t], derr, tmp)
        dk -= tmp
        np.einsum("bi,bj->bij", derr, k, out=tmpS)
        dS -= tmpS
        # M = a S_prev
        np.einsum("bij,bij->b", dS, ws.S[t], out=ws.da[t])
        dS *= a[:, None, None]
        # k = kr / |kr|
        dk -= k * (k * dk).sum(-1, keepdims=True)
        np.divide(dk, ws.norm[t], out=dkr[t])
    np.sum(dS, axis=0, out=g["S0"])
    ws.da *= ws.a * (1.0 - ws.a)
    ws.db *= ws.b * (1.0 - ws.b)
    for n in PROJ:
        np.einsum("tbd,tbn->dn", x, ws.draw[n], out=g["W" + n])
    np.einsum("tbd,tb->d", x, ws.da, out=g["wa"])
    np.einsum("tbd,tb->d", x, ws.db, out=g["wb"])
    g["ba"][...] = ws.da.sum()
    g["bb"][...] = ws.db.sum()


def make(Target, rng, T=4, B=3, D=3, N=4):
    p = {"W" + n: rng.normal(0.0, 0.8, (D, N)) for n in PROJ}
    p["Wo"] = rng.normal(0.0, 0.8, (N, D))
    p["S0"] = rng.normal(0.0, 0.5, (N, N))
    p["wa"], p["wb"] = rng.normal(0.0, 0.7, D), rng.normal(0.0, 0.7, D)
    p["ba"], p["bb"] = np.array([1.0]), np.array([0.3])
    x, y = rng.normal(size=(T, B, D)), rng.normal(size=(T, B, D))
    ws = Workspace(T, B, D, N)

    def loss():
        return float(0.5 * np.sum((delta_fwd(p, x, ws) - y) ** 2) / (T * B))

    def grads():
        g = {n: np.empty_like(w) for n, w in p.items()}
        np.subtract(delta_fwd(p, x, ws), y, out=ws.dout)
        ws.dout /= T * B
        delta_bwd(p, x, ws, g)
        return g

    return Target(p, loss, grads)


BUGS = {
    "silu-derivative": ("sg * (1.0 + u * (1.0 - sg)), out=du[t])", "sg * (1.0 - sg), out=du[t])"),
    "read-matvec-not-transposed": ("matvec_t(ws.S[t + 1], dread, dq[t])", "matvec(ws.S[t + 1], dread, dq[t])"),
    "write-strength-uses-v": ("np.einsum(\"bi,bi->b\", tmp, ws.err[t], out=ws.db[t])", "np.einsum(\"bi,bi->b\", tmp, ws.raw[\"v\"][t], out=ws.db[t])"),
    "erase-sign": ("dS -= tmpS", "dS += tmpS"),
    "decay-state-off-by-one": ("np.einsum(\"bij,bij->b\", dS, ws.S[t], out=ws.da[t])", "np.einsum(\"bij,bij->b\", dS, ws.S[t + 1], out=ws.da[t])"),
    "carry-scaled-by-b": ("dS *= a[:, None, None]", "dS *= b[:, None, None]"),
    "key-norm-over-batch": ("dk -= k * (k * dk).sum(-1, keepdims=True)", "dk -= k * (k * dk).sum(0, keepdims=True)"),
    "mean-over-batch-missing": ("ws.dout /= T * B", "ws.dout /= T"),
}
PAIRS = [
    ("silu-derivative", "carry-scaled-by-b"),
    ("read-matvec-not-transposed", "decay-state-off-by-one"),
    ("erase-sign", "mean-over-batch-missing"),
]
