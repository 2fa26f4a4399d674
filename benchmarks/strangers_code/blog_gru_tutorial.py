"""
Understanding GRUs from scratch, part 3: let's backpropagate!

In part 2 we wrote the forward pass of a GRU which learns to spell words. During training it gets the
*correct* previous letter as its input (this is called "teacher forcing"). Today we do the scary part.
Everything is a column vector, one word at a time, so you can follow along with pen and paper.
"""
import numpy as np

names = ["E", "Wz", "Uz", "bz", "Wr", "Ur", "br", "Wn", "Un", "bn", "Wy", "by", "h0"]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / np.sum(e)


# these two take the OUTPUT of the activation function, not its input
def sigmoid_prime(s):
    return s * (1 - s)


def tanh_prime(a):
    return 1 - a * a


def shift_right(word, start_token=0):
    # the input at step t is the letter we should have written at step t-1
    return [start_token] + list(word[:-1])


def forward_word(word, E, Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn, Wy, by, h0):
    inputs = shift_right(word)
    xs, zs, rs, ns, ps = [], [], [], [], []
    hs = [h0]  # careful: hs has one more entry than the others, hs[0] is the initial state
    loss = 0
    for t in range(len(word)):
        # step 1: look up the letter vector
        x = E[inputs[t]].reshape(-1, 1)
        # step 2: the two gates
        z = sigmoid(np.dot(Wz, x) + np.dot(Uz, hs[-1]) + bz)
        r = sigmoid(np.dot(Wr, x) + np.dot(Ur, hs[-1]) + br)
        # step 3: the new memory content
        n = np.tanh(np.dot(Wn, x) + np.dot(Un, r * hs[-1]) + bn)
        # step 4: mix old and new
        h = (1 - z) * n + z * hs[-1]
        # step 5: which letter comes next?
        p = softmax(np.dot(Wy, h) + by)
        loss += -np.log(p[word[t], 0])
        xs.append(x)
        zs.append(z)
        rs.append(r)
        ns.append(n)
        hs.append(h)
        ps.append(p)
    return loss, xs, zs, rs, ns, hs, ps


def backward(words, E, Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn, Wy, by, h0):
    dE = np.zeros_like(E)
    dWz, dUz, dbz = np.zeros_like(Wz), np.zeros_like(Uz), np.zeros_like(bz)
    dWr, dUr, dbr = np.zeros_like(Wr), np.zeros_like(Ur), np.zeros_like(br)
    dWn, dUn, dbn = np.zeros_like(Wn), np.zeros_like(Un), np.zeros_like(bn)
    dWy, dby = np.zeros_like(Wy), np.zeros_like(by)
    dh0 = np.zeros_like(h0)
    how_many_letters = sum([len(w) for w in words])

    for word in words:
        loss, xs, zs, rs, ns, hs, ps = forward_word(word, E, Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn, Wy, by, h0)
        inputs = shift_right(word)
        dh_next = np.zeros_like(h0)
        for t in reversed(range(len(word))):
            # softmax + cross entropy: the famous "p minus one"
            dy = np.copy(ps[t])
            dy[word[t]] -= 1
            dy = dy / how_many_letters
            dWy += np.dot(dy, hs[t + 1].T)
            dby += dy

            # h is used twice: by the output and by the next time step
            dh = np.dot(Wy.T, dy) + dh_next

            # h = (1 - z) * n + z * h_prev
            h_prev = hs[t]
            dz = dh * (h_prev - ns[t])
            dn = dh * (1 - zs[t])
            dh_prev = dh * zs[t]

            # n = tanh(Wn x + Un (r * h_prev) + bn)
            dn_raw = dn * tanh_prime(ns[t])
            dWn += np.dot(dn_raw, xs[t].T)
            dUn += np.dot(dn_raw, (rs[t] * h_prev).T)
            dbn += dn_raw
            drh = np.dot(Un.T, dn_raw)
            dr = drh * h_prev
            dh_prev += drh * rs[t]

            # the gates
            dz_raw = dz * sigmoid_prime(zs[t])
            dWz += np.dot(dz_raw, xs[t].T)
            dUz += np.dot(dz_raw, hs[t].T)
            dbz += dz_raw
            dr_raw = dr * sigmoid_prime(rs[t])
            dWr += np.dot(dr_raw, xs[t].T)
            dUr += np.dot(dr_raw, h_prev.T)
            dbr += dr_raw
            dh_prev += np.dot(Uz.T, dz_raw)
            dh_prev += np.dot(Ur.T, dr_raw)

            # and finally the letter vector
            dx = np.dot(Wz.T, dz_raw) + np.dot(Wr.T, dr_raw) + np.dot(Wn.T, dn_raw)
            dE[inputs[t]] += dx.ravel()
            dh_next = dh_prev
        dh0 += dh_next

    return dE, dWz, dUz, dbz, dWr, dUr, dbr, dWn, dUn, dbn, dWy, dby, dh0


def make(Target, rng, T=5, B=3, H=4, D=3, V=6):
    shapes = [(V, D)] + 3 * [(H, D), (H, H), (H, 1)] + [(V, H), (V, 1), (H, 1)]
    params = {}
    for name, shape in zip(names, shapes):
        params[name] = rng.standard_normal(shape) * 0.8
    words = [[int(letter) for letter in rng.integers(0, V, T)] for _ in range(B)]

    def loss():
        total = 0
        for word in words:
            total += forward_word(word, *[params[name] for name in names])[0]
        return float(total / sum([len(w) for w in words]))

    def grads():
        return dict(zip(names, backward(words, *[params[name] for name in names])))

    return Target(params, loss, grads)


BUGS = {
    "update-gate-sees-new-state": ("dUz += np.dot(dz_raw, hs[t].T)", "dUz += np.dot(dz_raw, hs[t + 1].T)"),
    "shortcut-through-z-forgotten": ("dh_prev = dh * zs[t]", "dh_prev = np.zeros_like(dh)"),
    "tuple-order-of-U-matrices": ("return dE, dWz, dUz, dbz, dWr, dUr, dbr,", "return dE, dWz, dUr, dbz, dWr, dUz, dbr,"),
    "letter-vector-overwritten": ("dE[inputs[t]] += dx.ravel()", "dE[inputs[t]] = dx.ravel()"),
    "sigmoid-prime-expects-input": ("return s * (1 - s)", "return sigmoid(s) * (1 - sigmoid(s))"),
    "reset-matrix-not-transposed": ("dh_prev += np.dot(Ur.T, dr_raw)", "dh_prev += np.dot(Ur, dr_raw)"),
    "time-not-reversed": ("for t in reversed(range(len(word))):", "for t in range(len(word)):"),
    "averaged-over-one-word-only": ("dy = dy / how_many_letters", "dy = dy / len(word)"),
}
PAIRS = [
    ("update-gate-sees-new-state", "letter-vector-overwritten"),
    ("shortcut-through-z-forgotten", "averaged-over-one-word-only"),
    ("tuple-order-of-U-matrices", "reset-matrix-not-transposed"),
    ("sigmoid-prime-expects-input", "time-not-reversed"),
    ("letter-vector-overwritten", "reset-matrix-not-transposed"),
    ("sigmoid-prime-expects-input", "shortcut-through-z-forgotten"),
]
