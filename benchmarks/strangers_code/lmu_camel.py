"""Legendre memory unit with a trained window length. JavaScript habits: camelCase, while loops, one mutable workspace.

    u = Ex x + Eh h + sum_q Em[c,q] m[c,q]       (one scalar per channel c)
    m' = m + (A m + b u) / theta                 (Euler; A, b are the fixed Legendre operators of order Q, theta = exp(logTheta) per channel)
    h' = tanh(Wx x + Wh h + Wm . m' + bias)
Columns are samples: x is (D, B), h is (H, B), m is (C, Q, B).
"""
import numpy as np


def legendreOperators(order):
    A, b = np.zeros((order, order)), np.zeros(order)
    for i in range(order):
        b[i] = (2 * i + 1) * (-1) ** i
        for j in range(order):
            A[i, j] = (2 * i + 1) * (-1 if i < j else (-1) ** (i - j + 1))
    return A, b


class LegendreCell:
    __slots__ = ("weights", "grads", "opA", "opB", "tape", "nSteps")

    def __init__(self, rng, nIn, nHidden, nChannels, order):
        self.opA, self.opB = legendreOperators(order)
        scale = lambda *shape: rng.standard_normal(shape) * 0.6
        self.weights = {"Ex": scale(nChannels, nIn), "Eh": scale(nChannels, nHidden), "Em": scale(nChannels, order) * 0.3,
                        "logTheta": 2.0 + 0.2 * scale(nChannels), "Wx": scale(nHidden, nIn), "Wh": scale(nHidden, nHidden),
                        "Wm": scale(nHidden, nChannels, order), "bias": scale(nHidden, 1)}
        self.zeroGrads()
        self.tape, self.nSteps = [], 0

    def zeroGrads(self):
        self.grads = {name: np.zeros_like(w) for name, w in self.weights.items()}

    def step(self, x, hPrev, mPrev):
        w = self.weights
        theta = np.exp(w["logTheta"])
        u = w["Ex"] @ x + w["Eh"] @ hPrev + np.einsum("cq,cqb->cb", w["Em"], mPrev)
        flow = np.einsum("pq,cqb->cpb", self.opA, mPrev) + self.opB[None, :, None] * u[:, None, :]
        mNext = mPrev + flow / theta[:, None, None]
        hNext = np.tanh(w["Wx"] @ x + w["Wh"] @ hPrev + np.tensordot(w["Wm"], mNext, axes=2) + w["bias"])
        self.tape.append({"x": x, "hPrev": hPrev, "mPrev": mPrev, "u": u, "flow": flow, "mNext": mNext, "hNext": hNext})
        return hNext, mNext

    def stepBack(self, record, dhNext, dmNext):
        w, g = self.weights, self.grads
        theta = np.exp(w["logTheta"])
        dPre = dhNext * (1.0 - np.square(record["hNext"]))
        g["Wx"] += dPre @ record["x"].T
        g["Wh"] += dPre @ record["hPrev"].T
        g["Wm"] += np.einsum("hb,cqb->hcq", dPre, record["mNext"])
        g["bias"] += dPre.sum(axis=1, keepdims=True)
        dx = w["Wx"].T @ dPre
        dhPrev = w["Wh"].T @ dPre
        dm = dmNext + np.einsum("hcq,hb->cqb", w["Wm"], dPre)
        # memory: m' = m + flow / theta
        dFlow = dm / theta[:, None, None]
        g["logTheta"] -= np.einsum("cqb,cqb->c", dFlow, record["flow"])
        dmPrev = dm + np.einsum("pq,cpb->cqb", self.opA, dFlow)
        du = np.einsum("q,cqb->cb", self.opB, dFlow)
        # encoder
        g["Ex"] += du @ record["x"].T
        g["Eh"] += du @ record["hPrev"].T
        g["Em"] += np.einsum("cb,cqb->cq", du, record["mPrev"])
        dx += w["Ex"].T @ du
        dhPrev += w["Eh"].T @ du
        dmPrev += w["Em"][:, :, None] * du[:, None, :]
        return dx, dhPrev, dmPrev


class MemoryTask:
    """Reconstruct targets from the hidden state of the second half of the steps; the memory is regularised at the last step."""

    def __init__(self, cell, readout, inputs, targets, ridge=0.05):
        self.cell, self.readout, self.inputs, self.targets, self.ridge = cell, readout, inputs, targets, ridge

    def run(self):
        cell = self.cell
        cell.tape = []
        nSteps, _, nBatch = self.inputs.shape
        h, m = np.zeros((self.readout.shape[1], nBatch)), np.zeros(cell.weights["Em"].shape + (nBatch,))
        total, t = 0.0, 0
        while t < nSteps:
            h, m = cell.step(self.inputs[t], h, m)
            if 2 * t >= nSteps - 1:
                total += 0.5 * np.sum((self.readout @ h - self.targets[t]) ** 2)
            t += 1
        cell.nSteps = nSteps
        return float(total + 0.5 * self.ridge * np.sum(m ** 2)) / nBatch

    def runBack(self):
        self.run()
        cell = self.cell
        cell.zeroGrads()
        nBatch = self.inputs.shape[2]
        dReadout, dInputs = np.zeros_like(self.readout), np.empty_like(self.inputs)
        last = cell.tape[-1]
        dh, dm = np.zeros_like(last["hNext"]), self.ridge * last["mNext"] / nBatch
        t = cell.nSteps
        while t > 0:
            t -= 1
            record = cell.tape[t]
            if 2 * t >= cell.nSteps - 1:
                residual = (self.readout @ record["hNext"] - self.targets[t]) / nBatch
                dReadout += residual @ record["hNext"].T
                dh += self.readout.T @ residual
            dInputs[t], dh, dm = cell.stepBack(record, dh, dm)
        return {**cell.grads, "readout": dReadout, "inputs": dInputs}


def make(Target, rng, T=4, B=2, D=2, H=3, C=2, Q=3):
    task = MemoryTask(LegendreCell(rng, D, H, C, Q), rng.standard_normal((2, H)), rng.standard_normal((T, D, B)), rng.standard_normal((T, 2, B)))
    return Target({**task.cell.weights, "readout": task.readout, "inputs": task.inputs}, task.run, task.runBack)


BUGS = {
    "legendre-operator-transposed": ('dmPrev = dm + np.einsum("pq,cpb->cqb", self.opA, dFlow)', 'dmPrev = dm + np.einsum("qp,cpb->cqb", self.opA, dFlow)'),
    "zeroing-missing": ("        cell.zeroGrads()", "        pass"),
    "encoder-sees-new-memory": ('g["Em"] += np.einsum("cb,cqb->cq", du, record["mPrev"])', 'g["Em"] += np.einsum("cb,cqb->cq", du, record["mNext"])'),
    "memory-cotangent-not-handed-on": ('dm = dmNext + np.einsum("hcq,hb->cqb", w["Wm"], dPre)', 'dm = np.einsum("hcq,hb->cqb", w["Wm"], dPre)'),
    "encoder-path-of-hidden": ('dhPrev += w["Eh"].T @ du', ''),
    "window-length-scaled-twice": ('g["logTheta"] -= np.einsum("cqb,cqb->c", dFlow, record["flow"])', 'g["logTheta"] -= np.einsum("cqb,cqb->c", dFlow, record["flow"]) / theta'),
    "identity-of-the-euler-step": ("dFlow = dm / theta[:, None, None]", "dFlow = dmNext / theta[:, None, None]"),
    "supervised-half-off-by-one": ("if 2 * t >= cell.nSteps - 1:", "if 2 * t > cell.nSteps:"),
}

PAIRS = [("encoder-path-of-hidden", "window-length-scaled-twice")]
