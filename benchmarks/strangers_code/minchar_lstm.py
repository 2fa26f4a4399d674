"""
Minimal character-level LSTM. Started from Karpathy's min-char-rnn.py (BSD licence),
vanilla RNN replaced by an LSTM with peepholes, one-hot inputs by an embedding.

All gates live in one matrix:  z = Wz [h; x] + bz,  rows of z:  i | f | g | o
"""
import numpy as np


def sigmoid(x):
  return 1.0 / (1.0 + np.exp(-x))


def init_model(rng, H, E, V):
  model = {}
  model['Wex'] = rng.normal(size=(E, V)) * 0.8           # char -> vector
  model['Wz'] = rng.normal(size=(4 * H, H + E)) * 0.6    # [h; x] -> gates
  model['bz'] = rng.normal(size=(4 * H, 1)) * 0.3
  model['pi'] = rng.normal(size=(H, 1)) * 0.7            # peepholes
  model['pf'] = rng.normal(size=(H, 1)) * 0.7
  model['po'] = rng.normal(size=(H, 1)) * 0.7
  model['Why'] = rng.normal(size=(V, H))                 # hidden to output
  model['by'] = rng.normal(size=(V, 1)) * 0.3
  model['h0'] = rng.normal(size=(H, 1)) * 0.5
  model['c0'] = rng.normal(size=(H, 1)) * 0.5
  return model


def forward(inputs, targets, model):
  """
  inputs, targets are both lists of integers.
  returns the loss of one string and everything the backward pass needs
  """
  H = model['h0'].shape[0]
  pi, pf, po = model['pi'], model['pf'], model['po']
  hx, hs, cs, tcs, ps = {}, {}, {}, {}, {}
  ig, fg, gg, og = {}, {}, {}, {}
  hs[-1] = np.copy(model['h0'])
  cs[-1] = np.copy(model['c0'])
  loss = 0.0
  for t in range(len(inputs)):
    x = model['Wex'][:, [inputs[t]]]
    hx[t] = np.vstack((hs[t-1], x))
    z = np.dot(model['Wz'], hx[t]) + model['bz']
    ig[t] = sigmoid(z[:H] + pi * cs[t-1])
    fg[t] = sigmoid(z[H:2*H] + pf * cs[t-1])
    gg[t] = np.tanh(z[2*H:3*H])
    cs[t] = fg[t] * cs[t-1] + ig[t] * gg[t]
    og[t] = sigmoid(z[3*H:] + po * cs[t])
    tcs[t] = np.tanh(cs[t])
    hs[t] = og[t] * tcs[t]
    y = np.dot(model['Why'], hs[t]) + model['by']        # unnormalized log probs
    e = np.exp(y - np.max(y))
    ps[t] = e / np.sum(e)
    loss += -np.log(ps[t][targets[t], 0])
  return loss, (hx, hs, cs, tcs, ps, ig, fg, gg, og)


def backward(inputs, targets, model, cache, d, scale):
  """ adds the gradients of scale * loss of one string to the dict d """
  hx, hs, cs, tcs, ps, ig, fg, gg, og = cache
  H = model['h0'].shape[0]
  pi, pf, po = model['pi'], model['pf'], model['po']
  dhnext = np.zeros((H, 1))
  dcnext = np.zeros((H, 1))
  for t in reversed(range(len(inputs))):
    dy = np.copy(ps[t])
    dy[targets[t]] -= 1
    dy *= scale
    d['Why'] += np.dot(dy, hs[t].T)
    d['by'] += dy
    dh = np.dot(model['Why'].T, dy) + dhnext
    # through h = o * tanh(c); o looks at the new cell
    dzo = dh * tcs[t] * og[t] * (1 - og[t])
    dc = dcnext + dh * og[t] * (1 - tcs[t] * tcs[t]) + dzo * po
    # through c = f * c_prev + i * g
    dzi = dc * gg[t] * ig[t] * (1 - ig[t])
    dzf = dc * cs[t-1] * fg[t] * (1 - fg[t])
    dzg = dc * ig[t] * (1 - gg[t] * gg[t])
    d['pi'] += dzi * cs[t-1]
    d['pf'] += dzf * cs[t-1]
    d['po'] += dzo * cs[t]
    dz = np.vstack((dzi, dzf, dzg, dzo))
    d['Wz'] += np.dot(dz, hx[t].T)
    d['bz'] += dz
    dhx = np.dot(model['Wz'].T, dz)
    dhnext = dhx[:H]
    d['Wex'][:, [inputs[t]]] += dhx[H:]
    dcnext = dc * fg[t] + dzi * pi + dzf * pf
  d['h0'] += dhnext
  d['c0'] += dcnext


def make(Target, rng, H=4, E=3, V=5, T=5, N=2):
  model = init_model(rng, H, E, V)
  data = rng.integers(0, V, size=(N, T + 1))
  strings = [(list(row[:-1]), list(row[1:])) for row in data]

  def loss():
    return float(sum(forward(a, b, model)[0] for a, b in strings) / (N * T))

  def grads():
    d = {k: np.zeros_like(v) for k, v in model.items()}
    for a, b in strings:
      _, cache = forward(a, b, model)
      backward(a, b, model, cache, d, 1.0 / (N * T))
    return d

  return Target(model, loss, grads)


BUGS = {
    "output-peephole-missing-in-dc": ("dc = dcnext + dh * og[t] * (1 - tcs[t] * tcs[t]) + dzo * po", "dc = dcnext + dh * og[t] * (1 - tcs[t] * tcs[t])"),
    "input-gate-with-forget-slope": ("dzi = dc * gg[t] * ig[t] * (1 - ig[t])", "dzi = dc * gg[t] * fg[t] * (1 - fg[t])"),
    "candidate-sigmoid-slope": ("dzg = dc * ig[t] * (1 - gg[t] * gg[t])", "dzg = dc * ig[t] * gg[t] * (1 - gg[t])"),
    "dhnext-slice-from-the-end": ("dhnext = dhx[:H]", "dhnext = dhx[-H:]"),
    "cell-carry-without-peepholes": ("dcnext = dc * fg[t] + dzi * pi + dzf * pf", "dcnext = dc * fg[t]"),
    "forget-peephole-reads-new-cell": ("d['pf'] += dzf * cs[t-1]", "d['pf'] += dzf * cs[t]"),
    "gates-stacked-in-wrong-order": ("dz = np.vstack((dzi, dzf, dzg, dzo))", "dz = np.vstack((dzi, dzf, dzo, dzg))"),
    "embedding-assigned-not-added": ("d['Wex'][:, [inputs[t]]] += dhx[H:]", "d['Wex'][:, [inputs[t]]] = dhx[H:]"),
}
PAIRS = [
    ("output-peephole-missing-in-dc", "cell-carry-without-peepholes"),
    ("input-gate-with-forget-slope", "candidate-sigmoid-slope"),
    ("candidate-sigmoid-slope", "gates-stacked-in-wrong-order"),
    ("dhnext-slice-from-the-end", "embedding-assigned-not-added"),
    ("dhnext-slice-from-the-end", "cell-carry-without-peepholes"),
    ("forget-peephole-reads-new-cell", "embedding-assigned-not-added"),
]
