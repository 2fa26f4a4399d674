"""Seq2seq with additive attention out of closures: each piece gives its value and a pullback that adds into G.

Encoder: tanh RNN. Decoder: GRU with the reset gate after the product, fed with the last target and the context."""
import numpy as np

sigma = lambda a: 1 / (1 + np.exp(-a))


def linear(P, w, x, b=None):
    y = x @ P[w] + (0 if b is None else P[b])

    def pull(dy, G):
        G[w] += np.tensordot(x, dy, axes=(range(x.ndim - 1), range(x.ndim - 1)))
        if b is not None:
            G[b] += dy.reshape(-1, dy.shape[-1]).sum(axis=0)
        return dy @ P[w].T
    return y, pull


def tanh_of(y_and_pull):
    a, inner = y_and_pull
    y = np.tanh(a)
    return y, lambda dy, G: inner(dy * (1 - y * y), G)


def attend(P, keys, memory, query):
    """keys (S,B,A), memory (S,B,H), query (B,A) -> context (B,H)"""
    u = np.tanh(keys + query)
    score = u @ P["att_v"]
    w = np.exp(score - score.max(axis=0))
    w = w / w.sum(axis=0)
    context = (w[:, :, None] * memory).sum(axis=0)

    def pull(dcontext, G):
        dmemory = w[:, :, None] * dcontext
        dw = (memory * dcontext).sum(axis=2)
        dscore = w * (dw - (w * dw).sum(axis=0))
        G["att_v"] += np.einsum("sb,sba->a", dscore, u)
        dkeys = dscore[:, :, None] * P["att_v"] * (1 - u * u)
        return dkeys, dmemory, dkeys.sum(axis=0)
    return context, pull


def gru(P, x, h):
    gx, pull_x = linear(P, "dec_W", x, "dec_b")
    gh, pull_h = linear(P, "dec_U", h, "dec_c")
    (zx, rx, nx), (zh, rh, nh) = np.split(gx, 3, axis=1), np.split(gh, 3, axis=1)
    z, r = sigma(zx + zh), sigma(rx + rh)
    n = np.tanh(nx + r * nh)

    def pull(dnew, G):
        dn = dnew * (1 - z) * (1 - n * n)
        dz = dnew * (h - n) * z * (1 - z)
        dr = dn * nh * r * (1 - r)
        dx = pull_x(np.hstack([dz, dr, dn]), G)
        dh = pull_h(np.hstack([dz, dr, dn * r]), G)
        return dx, dh + dnew * z
    return n + z * (h - n), pull


def encode(P, source):
    h = np.zeros((source.shape[1], P["enc_U"].shape[0]))
    for x in source:
        a, pull_x = linear(P, "enc_W", x, "enc_b")
        r, pull_h = linear(P, "enc_U", h)
        h, pull = tanh_of((a + r, lambda d, G, px=pull_x, ph=pull_h: (px(d, G), ph(d, G))))
        yield h, pull


def decode(P, keys, memory, h, goal):
    before = np.zeros_like(goal[0])
    for y in goal:
        query, pull_q = linear(P, "att_Q", h)
        context, pull_c = attend(P, keys, memory, query)
        h, pull_g = gru(P, np.hstack([before, context]), h)
        guess, pull_o = linear(P, "out_W", np.hstack([h, context]), "out_b")
        before = y
        yield guess - y, (pull_q, pull_c, pull_g, pull_o)


def translate(P, source, goal):
    states, enc_pulls = zip(*encode(P, source))
    memory = np.stack(states)
    keys, pull_keys = linear(P, "att_K", memory)
    h0, pull_bridge = tanh_of(linear(P, "bridge", states[-1]))
    errors, dec_pulls = zip(*decode(P, keys, memory, h0, goal))
    scale = 1.0 / goal.shape[1]
    value = 0.5 * scale * sum((e * e).sum() for e in errors)

    def backward():
        G = {k: np.zeros_like(v) for k, v in P.items()}
        width = goal.shape[2]
        dkeys, dmemory = np.zeros_like(keys), np.zeros_like(memory)
        dh = np.zeros_like(h0)
        for err, (pull_q, pull_c, pull_g, pull_o) in zip(reversed(errors), reversed(dec_pulls)):
            dtop, dcontext = np.split(pull_o(scale * err, G), [dh.shape[1]], axis=1)
            dx, dh_old = pull_g(dtop + dh, G)
            dcontext = dcontext + dx[:, width:]
            dk, dm, dq = pull_c(dcontext, G)
            dkeys += dk
            dmemory += dm
            dh = dh_old + pull_q(dq, G)
        dmemory += pull_keys(dkeys, G)
        dmemory[-1] += pull_bridge(dh, G)
        de = np.zeros_like(states[0])
        for d, pull in zip(dmemory[::-1], reversed(enc_pulls)):
            _, de = pull(d + de, G)
        return G
    return value, backward


def make(Target, rng, S=3, T=3, B=2, D=2, H=3):
    A, K = 4, 2
    shapes = dict(enc_W=(D, H), enc_U=(H, H), enc_b=(H,), att_K=(H, A), att_Q=(H, A), att_v=(A,), bridge=(H, H), dec_W=(K + H, 3 * H),
                  dec_b=(3 * H,), dec_U=(H, 3 * H), dec_c=(3 * H,), out_W=(2 * H, K), out_b=(K,))
    P = {k: rng.normal(size=q) * 0.8 for k, q in shapes.items()}
    source, goal = rng.normal(size=(S, B, D)), rng.normal(size=(T, B, K))
    return Target(P, lambda: translate(P, source, goal)[0], lambda: translate(P, source, goal)[1]())


BUGS = {
    "softmax-diagonal-only": ("dscore = w * (dw - (w * dw).sum(axis=0))", "dscore = w * (1 - w) * dw"),
    "keys-of-first-step-only": ("dkeys += dk", "dkeys = dk"),
    "context-into-gru-detached": ("dcontext = dcontext + dx[:, width:]", "pass"),
    "query-path-missing": ("dh = dh_old + pull_q(dq, G)", "dh = dh_old; pull_q(dq, G)"),
    "bridge-to-first-state": ("dmemory[-1] += pull_bridge(dh, G)", "dmemory[0] += pull_bridge(dh, G)"),
    "reset-not-on-hidden-part": ("dh = pull_h(np.hstack([dz, dr, dn * r]), G)", "dh = pull_h(np.hstack([dz, dr, dn]), G)"),
    "attention-tanh-missing": ('dkeys = dscore[:, :, None] * P["att_v"] * (1 - u * u)', 'dkeys = dscore[:, :, None] * P["att_v"]'),
    "bias-averaged": ("G[b] += dy.reshape(-1, dy.shape[-1]).sum(axis=0)", "G[b] += dy.reshape(-1, dy.shape[-1]).mean(axis=0)"),
}

PAIRS = [
    ("keys-of-first-step-only", "reset-not-on-hidden-part"),
]
