"""Pages on mistakes of shape and order: sums, transposes, indices, what is exchanged."""

from __future__ import annotations

from gradcheck.report.codes import FindingCode
from gradcheck.report.pages.page import Page

SHAPES = (
    Page(
        FindingCode.ARGUMENTS_EXCHANGED,
        "Two arguments of a call stand in each other's place.",
        "(dh_prev, dc_prev) = step_backward(dh, dc)",
        "dh, dc = cell.backward(dc, dh)",
        "dh, dc = cell.backward(dh, dc)",
        "hand them over in the order of the function's parameters, or by name.",
    ),
    Page(
        FindingCode.FACTORS_EXCHANGED,
        "The factors of a matrix or outer product stand in each other's place.",
        "A = X W   =>   dX = dA W^T,  dW = X^T dA",
        "dW = dA.T @ X",
        "dW = X.T @ dA",
        "the gradient of a matrix has its shape: let the shapes decide, at sizes that differ.",
    ),
    Page(
        FindingCode.VALUES_EXCHANGED,
        "Two values that are returned, unpacked or stored together stand in each other's place.",
        "returns dWx, dWh in the order in which they are taken",
        "return dWh, dWx, db",
        "return dWx, dWh, db",
        "use one order where values are given and where they are taken, or a mapping.",
    ),
    Page(
        FindingCode.MISSING_SUM,
        "A sum over an axis is missing: the forward broadcasts the value along it.",
        "a[b, j] = ... + b[j]   =>   db[j] = sum_b da[b, j]",
        "db = da[0]",
        "db = da.sum(axis=0)",
        "sum over each axis along which the value was repeated.",
    ),
    Page(
        FindingCode.EXTRA_SUM,
        "A sum over an axis along which nothing was broadcast.",
        "y[b] = a[b] * s[b]   =>   ds[b] = dy[b] a[b]",
        "ds = (dy * a).sum(axis=0)",
        "ds = dy * a",
        "take the sum out.",
    ),
    Page(
        FindingCode.MISSING_TRANSPOSE,
        "A transpose is missing. Where the matrix is square no shape complains.",
        "a = U h   =>   dh = U^T da",
        "dh = U @ da",
        "dh = U.T @ da",
        "going back goes through the transpose.",
    ),
    Page(
        FindingCode.EXTRA_TRANSPOSE,
        "A transpose too many.",
        "A = X W   =>   dW = X^T dA",
        "dW = (X.T @ dA).T",
        "dW = X.T @ dA",
        "take it out, and check at sizes that differ.",
    ),
    Page(
        FindingCode.MISSING_INDEX,
        "A whole array stands where a part of it is meant: that of one step, one gate, one example.",
        "dWx = sum_t da_t x_t^T",
        "dWx += np.outer(da, x.sum(0))",
        "dWx += np.outer(da, x[t])",
        "name the part that the forward reads at this step.",
    ),
    Page(
        FindingCode.EXTRA_INDEX,
        "A part of an array stands where all of it is meant.",
        "db = sum_b da[b]",
        "db = da[0]",
        "db = da.sum(axis=0)",
        "take the index out.",
    ),
    Page(
        FindingCode.INDEX_REPEATS,
        "x[i] += y adds once to an entry that i names more than once.",
        "dE[k] = sum over all n with i[n] = k of dx[n]",
        "dE[i] += dx",
        "np.add.at(dE, i, dx)",
        "use np.add.at(x, i, y).",
    ),
)  # fmt: skip
