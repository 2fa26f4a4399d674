"""
  LSTMP.PY  --  line by line port of lstmp.c (v0.4), my old recurrent net simulator.
  Memory cells with coupled gate (i = 1 - f), peephole on the output gate, and a
  linear recurrent projection layer.  Flat arrays + index macros as in the original,
  buffers are allocated once and reused for every pattern.  No vector code on purpose:
  makes it easy to diff against the C source.
"""
from math import exp, tanh
import numpy as np

FG, ZG, OG, NG = 0, 1, 2, 3          # forget gate, cell input, output gate, #gates


def logistic(a):
  return 1.0 / (1.0 + exp(-a))


class NET:
  """ struct net """
  __slots__ = ("NI", "NC", "NP", "NO", "NX", "T", "NS",
               "w", "po", "wp", "wy", "c0",                  # weights
               "gw", "gpo", "gwp", "gwy", "gc0",             # their gradients
               "x", "g", "c", "m", "r", "y",                 # activations, one pattern
               "ec", "er", "em",                             # error buffers
               "inp", "tgt", "imp")

  # "macros"
  def IW(s, q, j, k): return (q * s.NC + j) * s.NX + k
  def IG(s, t, q, j): return (t * NG + q) * s.NC + j
  def IC(s, t, j):    return t * s.NC + j
  def IR(s, t, k):    return t * s.NP + k
  def IX(s, t, k):    return t * s.NX + k
  def IP(s, k, j):    return k * s.NC + j
  def IY(s, o, k):    return o * (s.NP + 1) + k


def alloc(s):
  z = np.zeros
  s.NX = s.NI + s.NP + 1             # external input, fed back projection, bias unit
  s.x = z(s.T * s.NX);  s.g = z(s.T * NG * s.NC)
  s.c = z((s.T + 1) * s.NC);  s.m = z(s.T * s.NC)
  s.r = z((s.T + 1) * s.NP);  s.y = z(s.T * s.NO)
  s.ec = z(s.NC);  s.er = z(s.NP);  s.em = z(s.NC)
  s.gw = z(NG * s.NC * s.NX);  s.gpo = z(s.NC);  s.gwp = z(s.NP * s.NC)
  s.gwy = z(s.NO * (s.NP + 1));  s.gc0 = z(s.NC)


def forward(s, n):
  """ run pattern n; state at time t is stored in slot t+1, slot 0 = initial state """
  NI, NC, NP, NX = s.NI, s.NC, s.NP, s.NX
  err = 0.0
  for j in range(NC): s.c[j] = s.c0[j]
  for k in range(NP): s.r[k] = 0.0
  for t in range(s.T):
    for k in range(NI): s.x[s.IX(t, k)] = s.inp[(n * s.T + t) * NI + k]
    for k in range(NP): s.x[s.IX(t, NI + k)] = s.r[s.IR(t, k)]
    s.x[s.IX(t, NX - 1)] = 1.0
    for j in range(NC):
      a = [0.0, 0.0, 0.0]
      for q in range(NG):
        for k in range(NX):
          a[q] += s.w[s.IW(q, j, k)] * s.x[s.IX(t, k)]
      f = logistic(a[FG])
      z = tanh(a[ZG])
      c = f * s.c[s.IC(t, j)] + (1.0 - f) * z
      o = logistic(a[OG] + s.po[j] * c)
      s.g[s.IG(t, FG, j)] = f
      s.g[s.IG(t, ZG, j)] = z
      s.g[s.IG(t, OG, j)] = o
      s.c[s.IC(t + 1, j)] = c
      s.m[s.IC(t, j)] = o * tanh(c)
    for k in range(NP):
      a = 0.0
      for j in range(NC): a += s.wp[s.IP(k, j)] * s.m[s.IC(t, j)]
      s.r[s.IR(t + 1, k)] = a
    for o in range(s.NO):
      a = s.wy[s.IY(o, NP)]
      for k in range(NP): a += s.wy[s.IY(o, k)] * s.r[s.IR(t + 1, k)]
      s.y[t * s.NO + o] = tanh(a)
      d = s.y[t * s.NO + o] - s.tgt[(n * s.T + t) * s.NO + o]
      err += 0.5 * s.imp[t] * d * d
  return err / (s.T * s.NS)


def backward(s, n):
  """ full bptt for pattern n, ADDS to the gradient arrays; forward(n) must come first """
  NI, NC, NP, NX, NO = s.NI, s.NC, s.NP, s.NX, s.NO
  for j in range(NC): s.ec[j] = 0.0
  for k in range(NP): s.er[k] = 0.0

  for t in range(s.T - 1, -1, -1):
    # output units -> projection (er already holds what came back from t+1)
    for o in range(NO):
      y = s.y[t * NO + o]
      d = s.imp[t] * (y - s.tgt[(n * s.T + t) * NO + o]) / (s.T * s.NS)
      d *= 1.0 - y * y
      s.gwy[s.IY(o, NP)] += d
      for k in range(NP):
        s.gwy[s.IY(o, k)] += d * s.r[s.IR(t + 1, k)]
        s.er[k] += d * s.wy[s.IY(o, k)]

    # projection -> cell outputs
    for j in range(NC): s.em[j] = 0.0
    for k in range(NP):
      for j in range(NC):
        s.gwp[s.IP(k, j)] += s.er[k] * s.m[s.IC(t, j)]
        s.em[j] += s.er[k] * s.wp[s.IP(k, j)]
    for k in range(NP): s.er[k] = 0.0

    # cells
    for j in range(NC):
      f = s.g[s.IG(t, FG, j)]
      z = s.g[s.IG(t, ZG, j)]
      o = s.g[s.IG(t, OG, j)]
      cold = s.c[s.IC(t, j)]
      c = s.c[s.IC(t + 1, j)]
      th = tanh(c)
      do = s.em[j] * th * o * (1.0 - o)
      s.gpo[j] += do * c
      dc = s.ec[j] + s.em[j] * o * (1.0 - th * th) + do * s.po[j]
      df = dc * (cold - z) * f * (1.0 - f)
      dz = dc * (1.0 - f) * (1.0 - z * z)
      s.ec[j] = dc * f                        # error carousel
      dq = (df, dz, do)
      for q in range(NG):
        for k in range(NX): s.gw[s.IW(q, j, k)] += dq[q] * s.x[s.IX(t, k)]
        for k in range(NP): s.er[k] += dq[q] * s.w[s.IW(q, j, NI + k)]

  for j in range(NC): s.gc0[j] += s.ec[j]


def make(Target, rng, T=5, B=2, inputs=2, cells=3, proj=3, outs=2):
  s = NET()
  s.T = T;  s.NS = B;  s.NI = inputs;  s.NC = cells;  s.NP = proj;  s.NO = outs
  alloc(s)
  s.w = rng.normal(0.0, 0.9, s.gw.size)
  s.po = rng.normal(0.0, 1.0, s.NC)
  s.wp = rng.normal(0.0, 0.9, s.gwp.size)
  s.wy = rng.normal(0.0, 0.8, s.gwy.size)
  s.c0 = rng.normal(0.0, 0.8, s.NC)
  s.inp = rng.normal(0.0, 1.0, B * T * s.NI)
  s.tgt = rng.uniform(-1.0, 1.0, B * T * s.NO)
  s.imp = rng.uniform(0.5, 2.0, T)             # importance of each time step

  def loss():
    e = 0.0
    for n in range(s.NS): e += forward(s, n)
    return float(e)

  def grads():
    for b in (s.gw, s.gpo, s.gwp, s.gwy, s.gc0): b.fill(0.0)
    for n in range(s.NS):
      forward(s, n)
      backward(s, n)
    return {"w": s.gw.copy(), "po": s.gpo.copy(), "wp": s.gwp.copy(), "wy": s.gwy.copy(), "c0": s.gc0.copy()}

  return Target({"w": s.w, "po": s.po, "wp": s.wp, "wy": s.wy, "c0": s.c0}, loss, grads)


BUGS = {
  "importance-of-step-forgotten": ("d = s.imp[t] * (y - s.tgt[(n * s.T + t) * NO + o]) / (s.T * s.NS)", "d = (y - s.tgt[(n * s.T + t) * NO + o]) / (s.T * s.NS)"),
  "output-unit-reads-old-slot": ("s.gwy[s.IY(o, k)] += d * s.r[s.IR(t + 1, k)]", "s.gwy[s.IY(o, k)] += d * s.r[s.IR(t, k)]"),
  "projection-error-overwritten": ("s.em[j] += s.er[k] * s.wp[s.IP(k, j)]", "s.em[j] = s.er[k] * s.wp[s.IP(k, j)]"),
  "peephole-with-old-cell": ("s.gpo[j] += do * c", "s.gpo[j] += do * cold"),
  "coupled-gate-minus-lost": ("df = dc * (cold - z) * f * (1.0 - f)", "df = dc * cold * f * (1.0 - f)"),
  "carousel-without-forget-gate": ("s.ec[j] = dc * f ", "s.ec[j] = dc "),
  "bias-unit-not-trained": ("for k in range(NX): s.gw[s.IW(q, j, k)] +=", "for k in range(NX - 1): s.gw[s.IW(q, j, k)] +="),
  "feedback-offset-forgotten": ("s.er[k] += dq[q] * s.w[s.IW(q, j, NI + k)]", "s.er[k] += dq[q] * s.w[s.IW(q, j, k)]"),
}
PAIRS = [
  ("importance-of-step-forgotten", "carousel-without-forget-gate"),
  ("output-unit-reads-old-slot", "projection-error-overwritten"),
  ("peephole-with-old-cell", "coupled-gate-minus-lost"),
  ("bias-unit-not-trained", "feedback-offset-forgotten"),
  ("carousel-without-forget-gate", "feedback-offset-forgotten"),
  ("peephole-with-old-cell", "bias-unit-not-trained"),
]
