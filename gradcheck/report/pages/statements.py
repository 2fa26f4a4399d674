"""Pages on mistakes of whole statements: what is kept, written, added, left out, or run in the wrong order."""

from __future__ import annotations

from gradcheck.report.codes import FindingCode
from gradcheck.report.pages.page import Page

STATEMENTS = (
    Page(
        FindingCode.MISSING_COPY,
        "An array is kept for the backward and overwritten later, so that the backward reads another value than the "
        "forward did.",
        "the cache of step t holds the values of step t",
        "cache.append(h)                      # h is written in place below\nh *= f",
        "cache.append(h.copy())\nh *= f",
        "keep a copy, or write to a new array.",
    ),
    Page(
        FindingCode.SHARED_ARRAY,
        "One array stands in several places: under two names, or in every place of a list. What is added to one of "
        "them is added to all.",
        "dh_t and dh_{t-1} are two derivatives, each with memory of its own",
        "dh = [np.zeros((B, H))] * T          # T times the same array",
        "dh = [np.zeros((B, H)) for _ in range(T)]",
        "make an array for each place, or copy it.",
    ),
    Page(
        FindingCode.WRITES_INTO_CALLERS,
        "The statement writes into an array of the caller's, who finds another value in it afterwards.",
        "a function leaves its arguments as they are",
        "dh *= 1 - h ** 2",
        "da = dh * (1 - h ** 2)",
        "bind a new array.",
    ),
    Page(
        FindingCode.EXTRA_STATEMENT,
        "A statement spoils what is right without it.",
        "one statement for each step of the chain rule",
        "da = dh * (1 - h ** 2)\nda *= 1 - h ** 2",
        "da = dh * (1 - h ** 2)",
        "leave it out.",
    ),
    Page(
        FindingCode.MISSING_STATEMENT,
        "A step of the chain rule has no statement: a derivative is not handed on, or a gradient is not added to. "
        "No edit of the statements that stand there makes up for it.",
        "one statement for each step of the chain rule",
        "dc = dc + dh * o * (1 - tanh_c ** 2)\ndi, df, dg = dc * g, dc * c_prev, dc * i",
        "dc = dc + dh * o * (1 - tanh_c ** 2)\ndi, df, dg = dc * g, dc * c_prev, dc * i\n"
        "dc = dc * f                          # what the step before gets",
        "add the statement.",
    ),
    Page(
        FindingCode.NOT_CLEARED,
        "Gradients are added up in arrays that outlive the call, and nothing sets them to zero before the next one. "
        "They are right the first time, and twice as large the second.",
        "g(theta) = dL/dtheta, however often it is asked for",
        "def backward(self):\n    for t in reversed(range(self.T)):\n        self.dW += ...",
        "def backward(self):\n    self.dW[...] = 0.0\n    for t in reversed(range(self.T)):\n        self.dW += ...",
        "set the sums to zero where the backward begins.",
    ),
    Page(
        FindingCode.BINDS_LATE,
        "A function that is made in a loop reads the loop's variable when it is called. By then the loop is over, and "
        "all of them read the last value.",
        "the pullback of step t reads what step t has kept",
        "for t in range(T):\n    pulls.append(lambda d: (t, pull(d)))",
        "for t in range(T):\n    pulls.append(lambda d, t=t, pull=pull: (t, pull(d)))",
        "bind the value as a default, or make the function in a function of its own.",
    ),
    Page(
        FindingCode.WRONG_ORDER,
        "The loop goes through the time steps in the order of the forward. Going back begins at the last one.",
        "dh_T, dh_{T-1}, ..., dh_1",
        "for t in range(T):\n    dh = V.T @ dy[t] + dh_next",
        "for t in reversed(range(T)):\n    dh = V.T @ dy[t] + dh_next",
        "go through the steps with reversed(...).",
    ),
    Page(
        FindingCode.WRONG_PLACE,
        "Nothing in the statement is wrong, but it stands too early or too late. What it changes has been read before "
        "it is whole, or is read when it has become something else.",
        "dc = dh o tanh'(c) + dc_next + do_pre w_po, and then di = dc g",
        "di = dc * g\ndc += do_pre * w_po",
        "dc += do_pre * w_po\ndi = dc * g",
        "let a derivative become whole before it is read, and read it before it is used up.",
    ),
    Page(
        FindingCode.COTANGENT_UNUSED,
        "A derivative that comes in is never used, so that what it brings back is missing.",
        "dx = sum over all outputs y of dy dy/dx",
        "def backward(dh, dhT, dcT, cache):   # dcT is never read\n    dc = np.zeros_like(c)",
        "def backward(dh, dhT, dcT, cache):\n    dc = dcT.copy()",
        "begin with it where the output that it is of leaves the forward.",
    ),
    Page(
        FindingCode.LATER_STEPS_MISSING,
        "The statement gives the whole derivative of a state at the last time step. At earlier steps it gives what "
        "comes from their own outputs alone, and nothing adds what comes back through the next state.",
        "dL/dh_t = dL/dy_t dy_t/dh_t + dL/dh_{t+1} dh_{t+1}/dh_t",
        "dh = V.T @ dy[t]",
        "dh = V.T @ dy[t] + dh_next\nda = dh * (1 - h[t] ** 2)\ndh_next = W.T @ da",
        "carry the derivative of the state back: add what the next step left, and leave it for the step before.",
    ),
    Page(
        FindingCode.CLIPS_FINISHED,
        "The statement clips finished gradients. What is returned is no gradient; the rest was looked at without it.",
        "clip(g) = g only where |g| <= c",
        "for g in (dW, dU, db):\n    np.clip(g, -5, 5, out=g)",
        "return dW, dU, db                    # and clip where weights are updated",
        "clip where the weights are updated, or declare it with Target(..., clipped=5.0).",
    ),
    Page(
        FindingCode.CONSTANT_LEFT_OUT,
        "The loss adds a small constant, as log(p + 1e-7) does to spare zeros, and the backward is that of the loss "
        "without it. Each gradient is off by about as much; the rest was looked at without the constant.",
        "d log(p + e) = dp / (p + e), and p - y is right only where e = 0",
        "loss = -np.sum(y * np.log(p + 1e-7))\nds = p - y",
        "loss = -np.sum(y * np.log(np.maximum(p, 1e-7)))\nds = p - y",
        "leave the constant out of the loss; a maximum keeps the logarithm from zero and changes no other value.",
    ),
    Page(
        FindingCode.ASSIGNED_NOT_ADDED,
        "The statement overwrites what it should add to: of all time steps the last one counts.",
        "dW = sum_t da_t x_t^T",
        "dW = np.outer(da, x[t])",
        "dW += np.outer(da, x[t])",
        "write += where a value gets shares from several steps or uses.",
    ),
    Page(
        FindingCode.ADDED_NOT_ASSIGNED,
        "The statement adds to what it should replace: something of an earlier step or call stays in it.",
        "dh_next of step t is made at step t alone",
        "dh_next += U.T @ da",
        "dh_next = U.T @ da",
        "write = where a value is made anew at each step.",
    ),
)  # fmt: skip
