"""Pages on what a wrong gradient looks like beside the true one, told without any source."""

from __future__ import annotations

from gradcheck.report.codes import FindingCode
from gradcheck.report.pages.page import Page

PATTERNS = (
    Page(
        FindingCode.NOT_COMPARABLE,
        "A gradient is there and cannot be compared with anything; the report says why.",
        "(L(W + eps v) - L(W - eps v)) / (2 eps)  against  <dL/dW, v>",
        'return {"W": None}',
        'return {"W": dW}',
        "return a float array of the parameter's shape.",
    ),
    Page(
        FindingCode.NO_PATTERN,
        "The gradient is not the slope of the loss, and looks like no mistake that shows in the numbers alone.",
        "<dL/dW, v> = d/d(eps) L(W + eps v) at 0, for every v",
        "da = dh * (1 - a ** 2)               # of the pre-activation a",
        "da = dh * (1 - h ** 2)               # of h = tanh(a)",
        "let gradcheck look for the line (no --no-explain, a larger --budget), or read gradcheck trace FILE; "
        "where the code is in C, compare each step with the same in NumPy.",
    ),
    Page(
        FindingCode.WRONG_IN_PART,
        "A part of the gradient is wrong, as rows, columns or gates, and the rest is right. What is written for that "
        "part alone is at fault.",
        "dL/dW[part] for each gate: i, f, g, o",
        "dz[:, H:2*H] = dc * c * f * (1 - f)  # c is c_prev",
        "dz[:, H:2*H] = dc * c_prev * f * (1 - f)",
        "look at the statement that fills the named part. Target(..., gates='ifgo') lets the report name gates.",
    ),
    Page(
        FindingCode.WRONG_ENTRIES,
        "A few entries of the gradient are wrong, and they are no rows or columns.",
        "dL/dW[i, j] for each i, j",
        "dW[0, 0] = 0",
        "dW = np.outer(da, x)",
        "look for a write to single entries, an index that is off by one, or a mask.",
    ),
    Page(
        FindingCode.ACTIVATION,
        "The gradient of a bias is wrong by a factor that depends on its pre-activation alone: the derivative of an "
        "activation is applied twice, left out, or taken of the wrong value.",
        "da = dh * phi'(a),  tanh'(a) = 1 - tanh(a)^2,  sigma'(a) = sigma(a) (1 - sigma(a))",
        "da = dh                              # tanh' is left out",
        "da = dh * (1 - h ** 2)",
        "apply the derivative exactly once, and of the value that the formula takes.",
    ),
    Page(
        FindingCode.FACTOR,
        "The gradient is a multiple of the true one.",
        "L = (1/2) |y - t|^2   =>   dL/dy = y - t",
        "loss = np.sum((y - t) ** 2)\ndy = y - t                           # the 2 is missing",
        "loss = np.sum((y - t) ** 2)\ndy = 2 * (y - t)",
        "look for a constant that one pass has and the other has not: 1/2, a learning rate, a number of steps.",
    ),
    Page(
        FindingCode.COMMON_FACTOR,
        "All gradients are the true ones times one factor that the sizes name, as T or 1/B.",
        "L = (1/B) sum_b L_b   =>   dL/dW = (1/B) sum_b dL_b/dW",
        "loss = losses.mean()\ndy = p - onehot",
        "loss = losses.mean()\ndy = (p - onehot) / B",
        "reduce loss and gradients in the same way.",
    ),
    Page(
        FindingCode.SIGN,
        "The gradient is the true one with the other sign. Training climbs along this parameter.",
        "L = -log p[target],  p = softmax(y)   =>   dL/dy = p - onehot(target)",
        "dy = onehot - p",
        "dy = p - onehot",
        "turn the sign where the derivative begins; leave the minus of the update to the optimizer.",
    ),
    Page(
        FindingCode.TRANSPOSED,
        "The gradient is the transpose of the true one, which shows only where the matrix is square.",
        "a = W h   =>   dL/dW = da h^T",
        "dW = np.outer(h, da)",
        "dW = np.outer(da, h)",
        "exchange the factors of the outer product, and check at sizes that differ.",
    ),
    Page(
        FindingCode.ZERO,
        "The gradient is zero although the loss depends on the parameter: nothing is ever added to it.",
        "dL/dW = sum_t dL/da_t x_t^T",
        "dW = np.zeros_like(W)\nreturn dW",
        "dW = np.zeros_like(W)\nfor t in range(T):\n    dW += np.outer(da[t], x[t])\nreturn dW",
        "add the share of each time step, and return the array that it is added to.",
    ),
    Page(
        FindingCode.PHANTOM,
        "The gradient is not zero although the loss does not depend on the parameter.",
        "dL/dW = 0 where L does not read W",
        "h = np.tanh(U @ x)                   # W is never read\ndW = np.outer(da, x)",
        "h = np.tanh(W @ x)\ndW = np.outer(da, x)",
        "use the parameter in the forward, or return zeros; where it is a copy of what the loss reads, hand over the "
        "array itself.",
    ),
    Page(
        FindingCode.EXCHANGED,
        "The gradient is that of another parameter.",
        "dL/dWx = da x^T,  dL/dWh = da h_prev^T",
        'return {"Wx": dWh, "Wh": dWx}',
        'return {"Wx": dWx, "Wh": dWh}',
        "exchange the names where gradients are stored or returned.",
    ),
    Page(
        FindingCode.GATES_PERMUTED,
        "The gradient is the true one with its gates in another order than in the forward.",
        "z = [i | f | g | o] in both passes",
        "dz = np.hstack([di, df, do, dg])",
        "dz = np.hstack([di, df, dg, do])",
        "join and split the gates in one order everywhere.",
    ),
    Page(
        FindingCode.SUMMED_TOO_FAR,
        "The gradient is one number everywhere although the true entries differ: it was summed over too many axes.",
        "a[b, j] = ... + b[j]   =>   db[j] = sum_b da[b, j]",
        "db = da.sum()",
        "db = da.sum(axis=0)",
        "sum over the axes that were broadcast, and over no other.",
    ),
    Page(
        FindingCode.CARRY_DROPPED,
        "The gradient is right at the last time step alone: what comes back from later steps is dropped.",
        "dL/dh_t = dL/dy_t dy_t/dh_t + dL/dh_{t+1} dh_{t+1}/dh_t",
        "for t in reversed(range(T)):\n    dh = V.T @ dy[t]",
        "for t in reversed(range(T)):\n    dh = V.T @ dy[t] + dh_next\n    ...\n    dh_next = U.T @ da",
        "add the derivative that the step after hands back, and hand it on at the end of each step.",
    ),
    Page(
        FindingCode.CLIPPED,
        "The gradient is the true one with entries, or its norm, cut off. As a step for an optimizer that is fine; it "
        "is not the gradient.",
        "clip(g) = min(1, c / |g|) g   is the gradient only where |g| <= c",
        "return {k: np.clip(g, -5, 5) for k, g in grads.items()}",
        "return grads                         # and clip where weights are updated",
        "clip where the weights are updated, or declare it: Target(..., clipped=5.0) or clipped_norm=5.0.",
    ),
    Page(
        FindingCode.REPEATED_INDEX,
        "Rows of an embedding's gradient are wrong just where a token occurs more than once.",
        "dL/dE[k] = sum over all n with token[n] = k of dx[n]",
        "dE[tokens] += dx                     # the last of equal tokens counts",
        "np.add.at(dE, tokens, dx)",
        "use np.add.at, or a loop.",
    ),
    Page(
        FindingCode.SHARE_LOST,
        "The gradient is made of one time step or one example alone.",
        "dL/dW = sum_t da_t x_t^T",
        "for t in reversed(range(T)):\n    dW = np.outer(da[t], x[t])",
        "for t in reversed(range(T)):\n    dW += np.outer(da[t], x[t])",
        "add in the place of assigning; see that the loop does not end early.",
    ),
)  # fmt: skip
