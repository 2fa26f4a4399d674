"""Pages on the laws, which every backward obeys whatever its formula."""

from __future__ import annotations

from gradcheck.report.codes import FindingCode
from gradcheck.report.pages.page import Page

LAWS = (
    Page(
        FindingCode.LAW_SCALAR,
        "loss() returned something else than one float: an array of one element, or one for each example. A gradient "
        "is that of one number.",
        "L: parameters -> one real number",
        "def loss():\n    return -np.log(p[target])        # shape (1,)",
        "def loss():\n    return float(-np.log(p[target]).sum())",
        "sum or average what is left, and return float(...) or .item().",
    ),
    Page(
        FindingCode.LAW_FINITE,
        "The loss or a gradient holds NaN or an infinity, at values where the network should work. Differences of such "
        "numbers say nothing.",
        "|L| < inf and |dL/dW| < inf at every point of the domain",
        "p = np.exp(y) / np.exp(y).sum()      # overflows at y = 710",
        "e = np.exp(y - y.max())\np = e / e.sum()",
        "look for exp, log, a division or a square root of something that reaches its edge; shift a softmax by its "
        "largest entry.",
    ),
    Page(
        FindingCode.LAW_REPEATABILITY,
        "Asked twice at the same parameters, the loss gave two values. Dropout masks are drawn anew, or a hidden state "
        "goes on from the call before.",
        "L(W) = L(W)",
        "def loss():\n    h = self.h                       # left by the last call\n    m = rng.random(h.shape) < keep",
        "def loss():\n    h = h0.copy()\n    m = mask                         # drawn once, outside",
        "draw masks and noise once and reuse them, and bring hidden states back with Target(..., reset=...).",
    ),
    Page(
        FindingCode.LAW_PURITY,
        "Parameters, inputs or cotangents were changed in place by the loss or the backward. The next evaluation is "
        "that of another network.",
        "(L, dL/dW) depend on W and leave W as it is",
        "dh *= 1 - h ** 2                     # dh is the caller's array",
        "da = dh * (1 - h ** 2)",
        "work on a copy where an argument is written to, or write dh = dh * ... in the place of dh *= ...",
    ),
    Page(
        FindingCode.LAW_STATELESSNESS,
        "Asked twice, the backward gave two gradients although the loss was the same. Accumulators are not set to "
        "zero, or a derivative is carried over from the window before.",
        "dL/dW is a function of W, not of how often it was asked for",
        "self.dW += np.outer(da, x)           # never set to zero",
        "self.dW[:] = 0                       # at the beginning of backward()\nself.dW += np.outer(da, x)",
        "set every accumulator to zero, and the derivatives that come from later steps (dh_next, dc_next) too, at the "
        "beginning of the backward.",
    ),
    Page(
        FindingCode.LAW_INDEPENDENCE,
        "The gradients are made by differencing the loss itself. They agree with its slope, but no backward was "
        "verified.",
        "dL/dW by the chain rule, without L at other values of W",
        "grad[i] = (loss(w + eps) - loss(w - eps)) / (2 * eps)",
        "grad = backward(cache)",
        "hand over the gradients of the hand-written backward.",
    ),
    Page(
        FindingCode.LAW_LINEARITY,
        "A backward is linear in its cotangents, and this one is not: for twice the cotangent it does not give twice "
        "the gradient. A clip or a threshold stands inside of it.",
        "vjp(a u + b v) = a vjp(u) + b vjp(v)",
        "def backward(dh, cache):\n    dh = np.clip(dh, -1, 1)\n    ...",
        "def backward(dh, cache):\n    ...\n\ngrads = clip_by_norm(backward(dh, cache))   # where weights are updated",
        "clip finished gradients, outside the backward; declare a deliberate clip with Target(..., clipped=...).",
    ),
    Page(
        FindingCode.LAW_DEPENDENCE,
        "The loss stays the same whatever one of the inputs holds. The data never reach the network, or a branch "
        "ignores them.",
        "there are x, x' with L(W, x) != L(W, x')",
        "for t in range(T):\n    h = step(np.zeros(D), h)         # x[t] is meant",
        "for t in range(T):\n    h = step(x[t], h)",
        "read the input in loss(); if the loss is not meant to depend on it, leave it out of inputs=.",
    ),
    Page(
        FindingCode.LAW_SCALE,
        "The gradients are right at usual weights and wrong beside large ones. Something inside the backward is cut "
        "off or saturates where the forward does not.",
        "dL/dW is right at s * W for every scale s",
        "dh = np.clip(dh, -5, 5)              # silent as long as dh is small",
        "dh = U.T @ da",
        "take clips out of the backward, and guard against overflow in the same way in both passes.",
    ),
    Page(
        FindingCode.LAW_REDUCTION,
        "All gradients are the true ones times one factor: T, B or T*B. The loss is a mean where the gradients are a "
        "sum, or the reverse.",
        "L = (1/N) sum_n L_n   =>   dL/dW = (1/N) sum_n dL_n/dW",
        "loss = losses.mean()\ndy = p - onehot",
        "loss = losses.mean()\ndy = (p - onehot) / len(losses)",
        "divide where the derivative of the loss begins, so that everything behind it is divided too.",
    ),
    Page(
        FindingCode.LAW_NAMES,
        "grads() has not exactly one entry for each parameter: one is missing, or one has a name that no parameter "
        "has.",
        "one dL/dW for each W in params",
        'return {"W": dW, "U": dU}            # params has b, too',
        'return {"W": dW, "U": dU, "b": db}',
        "return a gradient for each name in params; list what has none under inputs=.",
    ),
    Page(
        FindingCode.LAW_SHAPES,
        "A gradient has another shape than its parameter: a column in the place of a vector, an axis that was not "
        "summed over.",
        "shape(dL/dW) = shape(W)",
        "db = da                              # (B, H), but b is (H,)",
        "db = da.sum(axis=0)",
        "sum over the axes along which the forward broadcasts the parameter.",
    ),
    Page(
        FindingCode.LAW_SIZES,
        "The code raises at another size: one time step, a batch of one, a shorter last window.",
        "dL/dW is defined at every size that the forward takes",
        "for t in range(1, T):                # nothing is assigned at T=1\n    y = V @ h[t]",
        "for t in range(T):\n    y = V @ h[t]",
        "take sizes from the arrays in the place of constants, and avoid squeeze(); where a size is not meant to work, "
        "raise a ValueError in the factory. Where the factory itself raises something else, nothing is known of the "
        "gradients there, and the verdict is inconclusive.",
    ),
)  # fmt: skip
