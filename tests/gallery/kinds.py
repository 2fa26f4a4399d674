"""Kinds of gradient bugs, one of each planted in a correct recurrent cell.

`KINDS` is the table, `CORRECT` the cells as they are, `outcome` what a check said in the words of the table. A row is
the cell, what the kind is called, how it shows, and the texts that are replaced in the cell's source.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gradcheck
from tests.gallery.plant import CELLS, correct, plant


class Kind(NamedTuple):
    """A kind of bug: what it is called, where it is planted, how it shows, and what a check must say of it.

    `verdicts` are words of `outcome`: "wrong" for most; "law" for a broken law beside right gradients.
    """

    name: str
    cell: str
    shows: str
    target: Any
    verdicts: tuple[str, ...]


def outcome(report: gradcheck.Report) -> str:
    """The verdict; "law" where no gradient is wrong but a law is broken."""
    if report.verdict == "wrong" and all(block.verdict != "wrong" for block in report.blocks.values()):
        return "law"
    return report.verdict


def _kind(cell: str, name: str, shows: str, *edits: tuple[str, str], verdict: str = "wrong") -> Kind:
    return Kind(name, cell, shows, plant(cell, name, *edits), tuple(verdict.split(" or ")))


#: grads() of the cell "hard", and what textbooks do to check it
DIFFERENCES = (
    """
        states, tape = forward(x, params["h0"], params)
        return backward(states - goal, tape, {name: params[name] for name in w})
""",
    """
        found = {name: np.empty_like(array) for name, array in params.items()}
        for name, array in params.items():
            for index in np.ndindex(array.shape):
                before = array[index]
                array[index] = before + 1e-5
                above = loss()
                array[index] = before - 1e-5
                found[name][index] = (above - loss()) / 2e-5
                array[index] = before
        return found
""",
)

SLOPES = (
    _kind("lstm", "dc for dct in dWc", "that weight only", ("v.T @ dct", "v.T @ dc")),
    _kind("lstm", "dc for dct in dbc", "that bias only", ("dct.sum(axis=0)", "dc.sum(axis=0)")),
    _kind(
        "lstm",
        "sigma' of activated values",
        "all gates",
        ("return s * (1 - s)", "return sigmoid(s) * (1 - sigmoid(s))"),
    ),
    _kind("lstm", "tanh' of the activated candidate", "the candidate; at T>1 all", ("dtanh(ct)", "dtanh(np.tanh(ct))")),
    _kind("lstm", "sigma' applied twice", "that gate; at T>1 all", ("* dsigmoid(i)", "* dsigmoid(i) * dsigmoid(i)")),
    _kind("lstm", "sigma for sigma'", "that gate, a factor around 2.5", ("* dsigmoid(f)", "* f")),
    _kind("lstm", "tanh' for the output gate", "that gate", ("dsigmoid(o)", "dtanh(o)")),
    _kind("lstm", "a gate's slope omitted", "that gate", ("ct * dsigmoid(i)", "ct")),
    _kind("lstm", "tanh' of c omitted", "all but the output gate at T=1", (" * dtanh(np.tanh(c))", "")),
    _kind("lstm", "tanh' of raw c", "all but the output gate at T=1", ("dtanh(np.tanh(c))", "dtanh(c)")),
    _kind("vanilla_rnn", "1 - h for 1 - h**2", "all", ("(1 - h[t] ** 2)", "(1 - h[t])")),
    _kind("vanilla_rnn", "tanh' of the state before", "all", ("(1 - h[t] ** 2)", "(1 - previous**2)")),
    _kind("hard", "slope of the hard sigmoid missing", "that gate, factor 5 at T=1", ("0.2 * du", "du")),
    _kind("hard", "hard sigmoid not flat outside", "that gate, where it is saturated", ("du * inside", "du")),
    _kind("hard", "hard sigmoid's range of another array", "that gate", ("(u > 0) & (u < 1)", "(zg > 0) & (zg < 1)")),
    _kind("hard", "ReLU mask missing", "the candidate", ("dg * (zg > 0)", "dg")),
    _kind("hard", "ReLU mask >= 0 of activated values", "the candidate", ("(zg > 0)", "(g >= 0)")),
    _kind("hard", "ReLU mask of the gradient", "the candidate", ("(zg > 0)", "(dg > 0)")),
    _kind(
        "coupled",
        "slope of the gate missing in one of two paths",
        "that gate",
        ("(g - c_old) * i * (1 - i)", "(g * i * (1 - i) - c_old)"),
    ),
)

FACTORS = (
    _kind("lstm", "dc/di uses i, not g", "the input gate", ("dc * ct *", "dc * i *")),
    _kind("lstm", "dc/dg uses g, not i", "the candidate", ("dc * i * dtanh(ct)", "dc * ct * dtanh(ct)")),
    _kind("lstm", "dc/df uses the new c", "the forget gate", ("dc * c_old *", "dc * c *")),
    _kind("lstm", "dh/do uses raw c", "the output gate", ("dh * np.tanh(c) *", "dh * c *")),
    _kind("lstm", "o missing in dc", "all but the output gate at T=1", ("dh * o * dtanh", "dh * dtanh")),
    _kind("lstm", "sign of a gate", "that gate, factor -1", ("dzf = dc", "dzf = -dc")),
    _kind(
        "lstm",
        "gradients of two biases exchanged",
        "those two",
        ('grads["bi"] += dzi', 'grads["bi"] += dzf'),
        ('grads["bf"] += dzf', 'grads["bf"] += dzi'),
    ),
    _kind(
        "fused_lstm",
        "gate order mismatch",
        "permuted parts",
        (
            "di, df, do, dg = dc * g, dc * c_old, dh * squashed, dc * i",
            "df, di, do, dg = dc * g, dc * c_old, dh * squashed, dc * i",
        ),
    ),
    _kind("coupled", "minus of f = 1 - i missing", "the gate", ("(g - c_old)", "(g + c_old)")),
    _kind("coupled", "forget side of a coupled gate missing", "the gate", ("(g - c_old)", "g")),
    _kind("coupled", "dc carried through i, not 1 - i", "T>=2, and c0", ("dc * (1 - i)", "dc * i")),
    _kind("gru", "sign of the update gate", "that gate", ("(previous - g)", "(g - previous)")),
    _kind("gru", "carried through 1 - u, not u", "T>=2", ("dcarried = dh * u", "dcarried = dh * (1 - u)")),
    _kind("gru", "dr uses g, not h_prev", "the reset gate", ("dreset * previous", "dreset * g")),
    _kind("gru", "reset gate missing in dUg", "that weight only", ('("g", dzg, r * previous)', '("g", dzg, previous)')),
    _kind("gru", "reset gate missing in the carried path", "T>=2", ("dreset * r +", "dreset +")),
    _kind("gated_unit", "candidate's path into the gate missing", "the gate", (" + dgated * previous)", ")")),
    _kind(
        "gated_unit",
        "outer product transposed",
        "recurrent weights, the transposes",
        ("np.outer(recurrent, dz)", "np.outer(dz, recurrent)"),
    ),
    _kind("gated_unit", "gate not closed for the state kept", "T>=2, and h0", ("dh * (1 - f) + dgated", "dh + dgated")),
    _kind(
        "peephole", "output gate's peephole missing in dc", "all but the output gate at T=1", (' + dzo * w["po"]', "")
    ),
    _kind("peephole", "peepholes missing in the carried dc", "T>=2, and c0", (' + dzi * w["pi"] + dzf * w["pf"]', "")),
    _kind("peephole", "peephole of o sees the old c", "that peephole only", ("(dzo * new)", "(dzo * c)")),
    _kind("peephole", "peephole of i sees the new c", "that peephole only", ("(dzi * c)", "(dzi * new)")),
    _kind(
        "projected",
        "reshape for transpose of the projection",
        "all but the projection",
        ("dr @ P.T", "dr @ P.reshape(P.shape[::-1])"),
    ),
    _kind(
        "projected",
        "projection's gradient lacks the output gate",
        "the projection only",
        ("dP += m.T", "dP += np.tanh(bounded).T"),
    ),
    _kind(
        "projected",
        "bound of the cell ignored",
        "where it holds",
        ("dc = dc * (np.abs(free) < BOUND)", "dc = dc * (np.abs(free) < np.inf)"),
    ),
    _kind(
        "projected",
        "bound tested on what is bounded",
        "where it holds",
        ("np.abs(free) < BOUND", "np.abs(bounded) <= BOUND"),
    ),
    _kind(
        "projected",
        "bound put on the gradient",
        "all but the projection",
        ("dc * (np.abs(free) < BOUND)", "np.clip(dc, -BOUND, BOUND)"),
    ),
)

TIME = (
    _kind("lstm", "carried dh dropped", "T>=2", ("dh + dhs[t], dc", "dhs[t], dc")),
    _kind("lstm", "carried dc dropped", "T>=2, and c_T", ("dhs[t], dc, tape[t]", "dhs[t], 0 * dc, tape[t]")),
    _kind("lstm", "carried dc assigned, not accumulated", "all but the last step", ("dc = dc + dh * o", "dc = dh * o")),
    _kind(
        "lstm",
        "dL/dc of the last step ignored",
        "where the loss uses c_T",
        ("dh, dx = np.zeros_like(dc), []", "dh, dc, dx = np.zeros_like(dc), np.zeros_like(dc), []"),
    ),
    _kind("lstm", "dh and dc swapped", "T>=2", ("dx_t, dh, dc = step_back", "dx_t, dc, dh = step_back")),
    _kind("lstm", "forget gate missing in the carried dc", "T>=2, and c0", ("dh_old, dc * f", "dh_old, dc")),
    _kind("lstm", "a gate missing in the carried dh", "x, h0 and T>=2", (' + dct @ w["Wg"].T', "")),
    _kind("lstm", "assigned for added over time", "that weight, T>=2", ('grads["Wi"] +=', 'grads["Wi"] =')),
    _kind("lstm", "cotangent of the wrong step", "T>=2", ("dh + dhs[t]", "dh + dhs[t - 1]")),
    _kind("lstm", "cotangent added twice", "all", ("dh + dhs[t]", "dh + 2 * dhs[t]")),
    _kind(
        "lstm", "gradients of the inputs in reversed order", "x only, T>=2", ("dx.insert(0, dx_t)", "dx.append(dx_t)")
    ),
    _kind("lstm", "gradient of the initial state missing", "h0 only", ('"h0": dh,', '"h0": 0 * dh,')),
    _kind("lstm", "gradients of h0 and c0 exchanged", "those two", ('"h0": dh, "c0": dc', '"h0": dc, "c0": dh')),
    _kind("coupled", "gradient of a learned start for one sample", "h0 only, B>=2", ("dh.sum(axis=0)", "dh[0]")),
    _kind("coupled", "gradient of a learned start averaged", "c0 only, B>=2", ("dc.sum(axis=0)", "dc.mean(axis=0)")),
    _kind(
        "layer_norm", "only the last step processed", "T>=2", ("range(len(dstates) - 1, -1, -1)", "[len(dstates) - 1]")
    ),
    _kind(
        "layer_norm",
        "the first step left out",
        "all",
        ("range(len(dstates) - 1, -1, -1)", "range(len(dstates) - 1, 0, -1)"),
    ),
    _kind(
        "windows",
        "truncation left on",
        "T>=3",
        ("reversed(range(len(self.x)))", "list(reversed(range(len(self.x))))[:2]"),
    ),
    _kind("fused_lstm", "index -1 wraps at t=0", "the forget gate", ("cs[t - 1] if t else c0", "cs[t - 1]")),
    _kind("fused_lstm", "dU sees the new h", "that weight only", ("h_old.T @ dz", "hs[t].T @ dz")),
    _kind("fused_lstm", "dW sees the x before", "that weight only, T>=2", ("x[t].T @ dz", "x[t - 1].T @ dz")),
    _kind("vanilla_rnn", "recurrent weight not transposed", "T>=2, and h0", ("dz @ Wh.T", "dz @ Wh")),
    _kind(
        "vanilla_rnn",
        "only the direct path in dx",
        "x only, T>=2",
        ("dx[t] = dz @ Wx.T", "dx[t] = dh[t] * (1 - h[t] ** 2) @ Wx.T"),
    ),
    _kind(
        "vanilla_rnn",
        "carried before the slope",
        "T>=2, and h0",
        ("dcarried = dz @ Wh.T", "dcarried = (dh[t] + dcarried) @ Wh.T"),
    ),
    _kind(
        "vanilla_rnn",
        "an accumulator that starts at one",
        "that weight only",
        ("dWx, dWh, db = np.empty_like(x), np.zeros_like(Wx)", "dWx, dWh, db = np.empty_like(x), np.ones_like(Wx)"),
    ),
    _kind(
        "peephole",
        "carried dh not cleared before it is summed anew",
        "T>=2, and h0",
        ("dh = np.zeros_like(dh)", "dh = 1 * dh"),
    ),
    _kind("peephole", "carried dh of the last gate alone", "T>=2, and h0", ("dh = dh + dz @", "dh = dz @")),
    _kind("columns", "state of the wrong step in dWhh", "that weight only", ("hs[t - 1].T", "hs[t].T")),
    _kind("leaky", "decay missing in the carried gradient", "T>=2, and h0", ("dh * (1 - rate)", "dh")),
    _kind(
        "leaky",
        "gradient of a shared scalar assigned, not added",
        "the scalar only, T>=2",
        ("drate += np.sum", "drate[...] = np.sum"),
    ),
    _kind("leaky", "sigma' of a learned rate missing", "the scalar only", ("drate * rate * (1 - rate)", "drate")),
    _kind(
        "bidirectional",
        "gradients of the reversed outputs not reversed",
        "that direction, T>=2",
        ("dboth[::-1, :, H:]", "dboth[:, :, H:]"),
    ),
    _kind("bidirectional", "dx of the reversed run not re-reversed", "x only, T>=2", ("dx + dxr[::-1]", "dx + dxr")),
    _kind("bidirectional", "dx of one direction only", "x only", ("dx + dxr[::-1]", "dx")),
    _kind(
        "bidirectional",
        "inputs of the reversed run not reversed",
        "its input weights, T>=2",
        ("run_back(dback, back, x[::-1]", "run_back(dback, back, x"),
    ),
    _kind(
        "bidirectional",
        "halves of the output exchanged",
        "all",
        ("dboth[:, :, :H], dboth[::-1, :, H:]", "dboth[:, :, H:], dboth[::-1, :, :H]"),
    ),
    _kind(
        "seq2seq",
        "teacher forcing off by one",
        "the decoder's input weights",
        ("run_back(p, y, said", "run_back(p, eye[answer], said"),
    ),
    _kind(
        "seq2seq",
        "decoder's gradient does not reach the encoder",
        "the encoder",
        ("[nothing] * len(x), dmiddle", "[nothing] * len(x), nothing"),
    ),
    _kind(
        "seq2seq",
        "one of two uses of a shared weight",
        "U and b",
        (
            'dmiddle, grads["We"], grads)',
            'dmiddle, grads["We"], {name: np.zeros_like(weight) for name, weight in p.items()})',
        ),
    ),
    _kind(
        "seq2seq",
        "output weights see the state before",
        "that weight only",
        ("np.array(said[1:]), dlogits)", "np.array(said[:-1]), dlogits)"),
    ),
)

LOSSES = (
    _kind(
        "gru", "mean over T and B in the loss alone", "all, factor T*B", ("dy = error / self.error.size", "dy = error")
    ),
    _kind("coupled", "mean over T in the gradients alone", "all, factor B*K", ("/ goal.size", "/ len(goal)")),
    _kind("coupled", "the 2 of a square missing", "all, factor 1/2", ("2 * (outputs", "(outputs")),
    _kind(
        "seq2seq",
        "divided by the batch twice",
        "all, factor 1/B",
        ("(probs - eye[answer]) / B", "(probs - eye[answer]) / B / B"),
    ),
    _kind(
        "seq2seq",
        "softmax' on top of the cross-entropy's",
        "all",
        ("(probs - eye[answer]) / B", "(probs - eye[answer]) * probs * (1 - probs) / B"),
    ),
    _kind(
        "seq2seq",
        "output bias of the last step alone",
        "that bias only, T>=2",
        ("dlogits.sum(axis=(0, 1))", "dlogits[-1].sum(axis=0)"),
    ),
    _kind(
        "gru",
        "another loss reported than differentiated",
        "all, by no factor",
        ("np.sum(self.error**2)", "np.sum(np.abs(self.error))"),
    ),
    _kind("columns", "one-hot target not subtracted", "all", ("dy[targets[t]] -= 1", "dy[targets[t]] -= 0")),
    _kind(
        "columns", "one-hot target of the step before", "all, T>=2", ("dy[targets[t]] -= 1", "dy[targets[t - 1]] -= 1")
    ),
    _kind("char_model", "softmax gradient without 1/N", "all", ("        dscaled /= targets.size\n", "")),
    _kind(
        "char_model",
        "one-hot subtracted in every row",
        "all, B>=2",
        ("dscaled[rows, targets[t]]", "dscaled[:, targets[t]]"),
    ),
    _kind("char_model", "loss in bits, gradients in nats", "all", ("-np.log(", "-np.log2(")),
    _kind(
        "char_model",
        "temperature missing behind the softmax",
        "all but the temperature",
        ('dlogits = dscaled * p["scale"]', "dlogits = dscaled"),
    ),
    _kind(
        "char_model",
        "temperature's gradient from scaled logits",
        "the temperature only",
        ("dscaled * logits)", 'dscaled * logits * p["scale"])'),
    ),
    _kind("char_model", "L2 term missing", "penalised weights", ("+= PENALTY * p[name]", "+= 0 * p[name]")),
    _kind("char_model", "L2 term doubled", "penalised weights", ("+= PENALTY * p[name]", "+= 2 * PENALTY * p[name]")),
    _kind(
        "char_model",
        "L2 term on a bias",
        "that bias only",
        ('for name in ("E", "W", "U"):', 'for name in ("E", "W", "U", "b"):'),
    ),
    _kind(
        "char_model",
        "L2 term of one weight missing",
        "that weight only",
        ('for name in ("E", "W", "U"):', 'for name in ("E", "W"):'),
    ),
    _kind(
        "char_model",
        "tied weights: the output's use missing",
        "the embedding only",
        ('        grads["E"] += dlogits.T @ h\n', ""),
    ),
    _kind(
        "char_model",
        "tied weights: the input's use missing",
        "the embedding only",
        ('        np.add.at(grads["E"], tokens[t], dz @ p["W"].T)\n', ""),
    ),
    _kind(
        "char_model",
        "repeated tokens lost by dE[tokens] += g",
        "the embedding, B>=2",
        ('np.add.at(grads["E"], tokens[t], dz @ p["W"].T)', 'grads["E"][tokens[t]] += dz @ p["W"].T'),
    ),
    _kind(
        "char_model",
        "embedding gradient assigned",
        "the embedding only",
        ('np.add.at(grads["E"], tokens[t], dz @ p["W"].T)', 'grads["E"][tokens[t]] = dz @ p["W"].T'),
    ),
    _kind(
        "char_model",
        "token of the wrong step",
        "the input weights, T>=2",
        ('p["E"][tokens[t]].T', 'p["E"][tokens[t - 1]].T'),
    ),
    _kind("masked", "mask ignored in the backward", "all but h0", ("dh * mask[t] *", "dh *")),
    _kind("masked", "gradient not carried over padding", "all, B>=2", (" + dh * (1 - mask[t])", "")),
    _kind("masked", "mask of the wrong step", "all", ("dh * mask[t] *", "dh * mask[t - 1] *")),
    _kind("masked", "padding counted in the mean", "all", ("goal) * mask / mask.sum()", "goal) * mask / mask.size")),
    _kind(
        "masked",
        "padding not masked in the loss's gradient",
        "all",
        ("goal) * mask / mask.sum()", "goal) / mask.sum()"),
    ),
    _kind(
        "masked", "last valid step off by one", "all", ("dstates[lengths, rows] +=", "dstates[lengths - 1, rows] +=")
    ),
)

LAYERS = (
    _kind(
        "layer_norm",
        "mean term missing in layer normalisation",
        "all but gain and bias at T=1",
        ("dunit - dunit.mean(axis=1, keepdims=True)", "dunit"),
    ),
    _kind(
        "layer_norm",
        "variance term missing in layer normalisation",
        "the same",
        (" - unit * (dunit * unit).mean(axis=1, keepdims=True)", ""),
    ),
    _kind("layer_norm", "division by the spread missing", "the same", ("keepdims=True)) / spread", "keepdims=True))")),
    _kind("layer_norm", "gain missing on the way back", "the same", ("dunit = dy * self.gain", "dunit = dy")),
    _kind(
        "layer_norm",
        "gain's gradient times the gain",
        "the gain only",
        ("(dy * unit).sum(axis=0)", "(dunit * unit).sum(axis=0)"),
    ),
    _kind(
        "layer_norm",
        "mean over the batch, not the units",
        "all but gain and bias at T=1",
        ("dunit - dunit.mean(axis=1, keepdims=True)", "dunit - dunit.mean(axis=0, keepdims=True)"),
    ),
    _kind("layer_norm", "caches taken in the order of the forward", "T>=2", ("self.seen.pop()", "self.seen.pop(0)")),
    _kind("leaky", "weight normalisation: projection missing", "the direction only", ("dW - unit * ds", "dW")),
    _kind("leaky", "weight normalisation: length missing", "the direction only", ("s / length * (dW", "s * (dW")),
    _kind("leaky", "weight normalisation: gradient of the length", "the length only", ("(dW * unit)", "(dW * D)")),
    _kind("stacked", "dropout mask not applied backward", "the lower layer", ("ddropped * self.mask", "ddropped")),
    _kind(
        "stacked",
        "dropout not scaled backward",
        "the lower layer",
        ("ddropped * self.mask", "ddropped * self.mask * KEEP"),
    ),
    _kind(
        "stacked",
        "dropout mask drawn anew in the backward",
        "the lower layer",
        ("ddropped * self.mask", "ddropped * self.drawn(KEEP, out.shape) / KEEP"),
    ),
    _kind("stacked", "residual path missing in the backward", "the lower layer", ("self.mask + dout", "self.mask")),
    _kind("stacked", "residual path alone", "the lower layer", ("ddropped * self.mask + dout", "dout")),
    _kind("stacked", "zoneout ignored by the candidate", "both layers", ("dh * (1 - zone[t]) *", "dh *")),
    _kind("stacked", "zoneout: kept units carry nothing back", "T>=2, h1 and h2", (" + dh * zone[t]", "")),
    _kind("stacked", "zoneout mask inverted", "both layers", ("dh * (1 - zone[t]) *", "dh * zone[t] *")),
    _kind(
        "attention",
        "sum missing in the softmax's Jacobian",
        "all",
        ("(dweights - (weights * dweights).sum(axis=0))", "dweights"),
    ),
    _kind(
        "attention",
        "softmax's Jacobian summed over the batch too",
        "all, B>=2",
        ("(weights * dweights).sum(axis=0)", "(weights * dweights).sum()"),
    ),
    _kind(
        "attention",
        "path through the values missing",
        "all but Q",
        ("weights[:, :, None] * dcontext", "0 * weights[:, :, None] * dcontext"),
    ),
    _kind("attention", "path through the keys missing", "all but Q", (" + dscores[:, :, None] * query", "")),
    _kind("attention", "path through the query missing", "all but Q", ('    dstates[-1] += dquery @ p["Q"].T\n', "")),
    _kind("attention", "query's gradient at the wrong step", "all but Q, T>=2", ("dstates[-1] +=", "dstates[0] +=")),
    _kind("attention", "scale of the scores missing", "all", ("dscores / np.sqrt(query.shape[1])", "dscores")),
)

BUFFERS = (
    _kind("fused_lstm", "bias not reduced over the batch", "a shape", ("db += dz.sum(axis=0)", "db = db + dz")),
    _kind(
        "fused_lstm", "bias reduced to a scalar", "the bias, equal entries", ("db += dz.sum(axis=0)", "db += dz.sum()")
    ),
    _kind(
        "fused_lstm",
        "bias averaged over the batch",
        "the bias only, factor 1/B",
        ("db += dz.sum(axis=0)", "db += dz.mean(axis=0)"),
    ),
    _kind(
        "fused_lstm",
        "c = a without a copy",
        "the cell states are one array",
        ("c = f * c + i * g", "c *= f\n        c += i * g"),
    ),
    _kind(
        "coupled",
        "two gradients in one buffer",
        "all but the output layer",
        ('dh = dh + dy @ p["V"].T', 'dh += dy @ p["V"].T'),
    ),
    _kind(
        "peephole",
        "phantom gradient of an unused parameter",
        "numerically 0",
        (' + c * w["pf"] + w["bf"]', ' + w["bf"]'),
        (' + dzf * w["pf"]', ""),
    ),
    _kind(
        "fused_lstm",
        "weight decay in the backward alone",
        "that weight only",
        ("return dx, carried, dc, dW,", "return dx, carried, dc, dW + 0.01 * W,"),
    ),
    _kind(
        "char_model",
        "gradients added into the weights",
        "parameters change",
        ('grads["U"] += h_old.T', 'p["U"] += h_old.T'),
    ),
    _kind(
        "windows",
        "gradient carried over windows",
        "N>=2",
        ("carried = np.zeros_like(self.states[0])", 'carried = getattr(self, "dstart", 0.0)'),
    ),
    _kind(
        "windows",
        "last window left out",
        "all",
        (
            "        dstarts = []\n        for n in range(N):",
            "        dstarts = [0 * starts[0]]\n        for n in range(N - 1):",
        ),
    ),
    _kind(
        "windows",
        "all windows go back through the last",
        "N>=2",
        (
            "            net.backward()",
            "            net.forward(x[-1], goal[-1], starts[N - 1])\n            net.backward()",
        ),
    ),
    _kind("windows", "stale accumulators", "second call only", ("        net.zero()\n", ""), verdict="law"),
    _kind(
        "fused_lstm",
        "elementwise clip inside",
        "at large cotangents",
        ("dh = dhs[t] + carried", "dh = np.clip(dhs[t] + carried, -20, 20)"),
        verdict="law",
    ),
    _kind(
        "vanilla_rnn",
        "norm clip inside",
        "at large cotangents",
        ("dcarried = dz @ Wh.T", "dcarried = dz @ Wh.T * min(1.0, 50 / np.linalg.norm(dz))"),
        verdict="law",
    ),
    _kind(
        "bidirectional",
        "small gradients set to zero",
        "at small cotangents",
        ("dz = (dstates[t] + carried)", "dz = np.where(np.abs(dstates[t] + carried) < 1e-6, 0, dstates[t] + carried)"),
        verdict="law",
    ),
    _kind(
        "lstm",
        "clip behind a loss",
        "at large weights",
        ("dh + dhs[t]", "np.clip(dh + dhs[t], -20, 20)"),
        verdict="law",
    ),
    _kind(
        "fused_lstm",
        "upstream gradient mutated in place",
        "the caller's array",
        ("dh = dhs[t] + carried", "dhs[t] += carried\n        dh = dhs[t]"),
        verdict="law",
    ),
    _kind(
        "fused_lstm",
        "dL/dc of the last step mutated in place",
        "the caller's array",
        ("dc = dc + dh * o", "dc += dh * o"),
        verdict="law",
    ),
    _kind(
        "gru",
        "loss is an array of one",
        "no float",
        (
            "float(np.sum(self.error**2) / (2 * target.size))",
            "np.sum(self.error**2, keepdims=True)[0] / (2 * target.size)",
        ),
        verdict="law",
    ),
    _kind(
        "columns",
        "fed positions, not symbols",
        "any input, one loss",
        ("xs[t][inputs[t]] = 1", "xs[t][t % len(by)] = 1"),
        verdict="law",
    ),
    _kind(
        "attention",
        "loop ends at the first step",
        "x[1:] ignored",
        ("        states.append(h)\n", "        states.append(h)\n        break\n"),
        ("range(len(x))", "range(len(states))"),
        verdict="law",
    ),
)

DOUBTS = (
    _kind(
        "stacked",
        "dropout mask redrawn",
        "noise",
        (
            "dropped = low * self.mask",
            "self.mask = self.drawn(KEEP, low.shape) / KEEP\n        dropped = low * self.mask",
        ),
        verdict="inconclusive",
    ),
    _kind(
        "windows",
        "state kept from call to call",
        "another loss each time",
        ("self.states = [h]", 'self.states = [getattr(self, "states", [h])[-1]]'),
        verdict="inconclusive",
    ),
    _kind(
        "vanilla_rnn",
        "float32 products in a float64 backward",
        "noise of 1e-7",
        ("previous.T @ dz", "previous.astype(np.float32).T @ dz.astype(np.float32)"),
        verdict="inconclusive",
    ),
    # the law "independence" says so; and one of many differences may be a little beside what ours are
    _kind(
        "hard",
        "numerical gradients handed in as the gradients",
        "always right",
        DIFFERENCES,
        verdict="vacuous or inconclusive",
    ),
    _kind(
        "coupled",
        "output weights of zero hide what is below",
        "zero against zero",
        ('{"V": rng.standard_normal((H, K))', '{"V": np.zeros((H, K))'),
        ("dc * i * (1 - g**2)", "dc * i"),
        verdict="wrong or vacuous",
    ),
    _kind(
        "vanilla_rnn",
        "one step from a state of zero hides dWh",
        "zero against zero",
        ("T: int = 4, B", "B"),
        ("    shapes = {", "    T = 1\n    shapes = {"),
        ("    return gradcheck", '    inputs["h0"] *= 0\n    return gradcheck'),
        ("dWh += previous", "dWh -= previous"),
        verdict="wrong or vacuous",  # wrong where the state is moved off zero
    ),
    _kind(
        "hard",
        "dead units hide their slope",
        "where weights are larger",
        ('w["b" + gate] = rng.standard_normal(H)', 'w["b" + gate] = rng.standard_normal(H) - 50'),
        ("0.2 * du", "du"),
        verdict="law or vacuous",
    ),
)

KINDS: tuple[Kind, ...] = (*SLOPES, *FACTORS, *TIME, *LOSSES, *LAYERS, *BUFFERS, *DOUBTS)
CORRECT: dict[str, Any] = {cell: correct(cell) for cell in CELLS}
