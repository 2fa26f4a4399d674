"""
selective_scan_ref: reference for the fused S6 kernel (fwd keeps one state per chunk,
bwd re-computes the states of a chunk from its checkpoint).

  u  = silu(conv1d(x))         dt = softplus(u Wdt + bdt)        A = -exp(A_log)
  h' = exp(dt A) h + dt B u    y  = <C, h'> + D u                out = (y * silu(z)) Wout

All work arrays are allocated once, [time, batch, channel, (state)], and filled with out=.
"""
import numpy as np

SEQ, BATCH, DIM, D_IN, NST, TAPS, CHUNK = 7, 2, 3, 2, 2, 3, 3
NCHUNK = -(-SEQ // CHUNK)


class Workspace:
    def __init__(self):
        seq = lambda *s: np.zeros((SEQ, BATCH) + s)
        self.xi, self.z, self.pre, self.u, self.raw, self.dt, self.y = (seq(DIM) for _ in range(7))
        self.B, self.C = seq(NST), seq(NST)
        self.decay = seq(DIM, NST)
        self.h = np.zeros((BATCH, DIM, NST))
        self.tmp = np.zeros((BATCH, DIM, NST))
        self.ckpt = np.zeros((NCHUNK, BATCH, DIM, NST))
        self.hbuf = np.zeros((CHUNK + 1, BATCH, DIM, NST))


def sigmoid(v):
    return 1.0 / (1.0 + np.exp(-v))


def dsilu(v):
    s = sigmoid(v)
    return s + v * s * (1.0 - s)


def advance(ws, h, t, out):
    """out <- decay_t * h + dt_t u_t (x) B_t   (out may be h)"""
    np.einsum('bd,bn->bdn', ws.dt[t] * ws.u[t], ws.B[t], out=ws.tmp)
    np.multiply(ws.decay[t], h, out=out)
    out += ws.tmp


def forward(p, ws, x, target):
    np.matmul(x, p['W_x'], out=ws.xi)
    np.matmul(x, p['W_z'], out=ws.z)
    ws.pre[...] = p['conv_b']
    for k in range(TAPS):                       # tap k looks k steps back
        ws.pre[k:] += p['conv_w'][k] * ws.xi[:SEQ - k]
    np.multiply(ws.pre, sigmoid(ws.pre), out=ws.u)
    np.matmul(ws.u, p['W_dt'], out=ws.raw)
    ws.raw += p['b_dt']
    np.logaddexp(0.0, ws.raw, out=ws.dt)
    np.matmul(ws.u, p['W_B'], out=ws.B)
    np.matmul(ws.u, p['W_C'], out=ws.C)
    A = -np.exp(p['A_log'])
    np.multiply(ws.dt[..., None], A, out=ws.decay)
    np.exp(ws.decay, out=ws.decay)
    ws.h.fill(0.0)
    for t in range(SEQ):
        if t % CHUNK == 0:
            ws.ckpt[t // CHUNK] = ws.h
        advance(ws, ws.h, t, out=ws.h)
        np.einsum('bdn,bn->bd', ws.h, ws.C[t], out=ws.y[t])
    ws.y += p['D'] * ws.u
    ws.gated = ws.y * ws.z * sigmoid(ws.z)
    ws.err = ws.gated @ p['W_out'] - target
    return 0.5 * np.vdot(ws.err, ws.err) / BATCH


def backward(p, ws, x):
    g = {k: np.zeros_like(v) for k, v in p.items()}
    derr = ws.err / BATCH
    g['W_out'] = np.einsum('tbi,tbj->ij', ws.gated, derr)
    dgated = derr @ p['W_out'].T
    dz = dgated * ws.y * dsilu(ws.z)
    dy = dgated * ws.z * sigmoid(ws.z)

    g['D'] = (dy * ws.u).sum((0, 1))
    du = dy * p['D']
    ddt, dB, dC = np.zeros_like(ws.dt), np.zeros_like(ws.B), np.zeros_like(ws.C)
    A = -np.exp(p['A_log'])
    dA = np.zeros_like(A)
    dh = np.zeros_like(ws.h)
    for c in range(NCHUNK - 1, -1, -1):
        t0, t1 = c * CHUNK, min(SEQ, (c + 1) * CHUNK)
        ws.hbuf[0] = ws.ckpt[c]
        for t in range(t0, t1):
            advance(ws, ws.hbuf[t - t0], t, out=ws.hbuf[t - t0 + 1])
        for t in range(t1 - 1, t0 - 1, -1):
            h_prev, h_new = ws.hbuf[t - t0], ws.hbuf[t - t0 + 1]
            np.einsum('bdn,bd->bn', h_new, dy[t], out=dC[t])
            dh += dy[t][:, :, None] * ws.C[t][:, None, :]
            # input branch  dt * u * B
            dBu = np.einsum('bdn,bn->bd', dh, ws.B[t])
            np.einsum('bdn,bd->bn', dh, ws.dt[t] * ws.u[t], out=dB[t])
            ddt[t] += dBu * ws.u[t]
            du[t] = dBu * ws.dt[t]
            # decay branch  exp(dt * A) * h
            np.multiply(dh, ws.decay[t], out=dh)
            np.multiply(dh, h_prev, out=ws.tmp)
            ws.tmp *= ws.decay[t]
            ddt[t] += (ws.tmp * A).sum(-1)
            dA += np.einsum('bdn,bd->dn', ws.tmp, ws.dt[t])
    g['A_log'] = dA

    draw = ddt * sigmoid(ws.dt)
    for name, d in (('W_dt', draw), ('W_B', dB), ('W_C', dC)):
        g[name] = np.einsum('tbi,tbj->ij', ws.u, d)
        du += d @ p[name].T
    g['b_dt'] = draw.sum((0, 1))
    dpre = du * dsilu(ws.pre)
    g['conv_b'] = dpre.sum((0, 1))
    dxi = np.zeros_like(ws.xi)
    for k in range(TAPS):
        g['conv_w'][k] = (dpre[k:] * ws.xi[:SEQ - k]).sum((0, 1))
        dxi[:SEQ - k] += p['conv_w'][k] * dpre[k:]
    g['W_x'] = np.einsum('tbi,tbj->ij', x, dxi)
    g['W_z'] = np.einsum('tbi,tbj->ij', x, dz)
    return g


def make(rng):
    shapes = {'W_x': (D_IN, DIM), 'W_z': (D_IN, DIM), 'conv_w': (TAPS, DIM), 'conv_b': (DIM,),
              'W_dt': (DIM, DIM), 'b_dt': (DIM,), 'W_B': (DIM, NST), 'W_C': (DIM, NST),
              'A_log': (DIM, NST), 'D': (DIM,), 'W_out': (DIM, 2)}
    p = {k: 0.8 * rng.standard_normal(s) for k, s in shapes.items()}
    x = rng.standard_normal((SEQ, BATCH, D_IN))
    target = rng.standard_normal((SEQ, BATCH, 2))
    ws = Workspace()

    def grads():
        forward(p, ws, x, target)
        return backward(p, ws, x)

    return p, lambda: float(forward(p, ws, x, target)), grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('A = -exp(A_log): inner derivative missing', [105], [("g['A_log'] = dA", "g['A_log'] = dA * A")]),
 ('dh overwritten in place before its last use',
  [100, 101, 102],
  [('            # decay branch  exp(dt * A) * h\n'
    '            np.multiply(dh, ws.decay[t], out=dh)\n'
    '            np.multiply(dh, h_prev, out=ws.tmp)\n'
    '            ws.tmp *= ws.decay[t]\n',
    '            # decay branch  exp(dt * A) * h\n'
    '            np.multiply(dh, h_prev, out=ws.tmp)\n'
    '            ws.tmp *= ws.decay[t]\n'),
   ("            dA += np.einsum('bdn,bd->dn', ws.tmp, ws.dt[t])\n    g[",
    "            dA += np.einsum('bdn,bd->dn', ws.tmp, ws.dt[t])\n"
    '            np.multiply(dh, ws.decay[t], out=dh)\n'
    '    g[')]),
 ('softplus derivative taken at its output', [107], [('ddt * sigmoid(ws.dt)', 'ddt * sigmoid(ws.raw)')]),
 ('skip path lost: du assigned instead of added', [98], [('du[t] = dBu * ws.dt[t]', 'du[t] += dBu * ws.dt[t]')])]
