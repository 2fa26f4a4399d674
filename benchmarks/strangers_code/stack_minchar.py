"""
Minimal character-level *stack* RNN (push / pop / keep, continuous stack, after Joulin & Mikolov 2015).
Hacked out of the well known min-char-rnn gist, now with several strings at a time (one per column).
BSD License
"""
import numpy as np

PUSH, POP, KEEP = 0, 1, 2
lam = 0.3  # how much we want the stack to be empty at the end


def init_model(rng, hidden_size, vocab_size, D, K):
  m = {}
  m['Wxh'] = rng.standard_normal((hidden_size, vocab_size)) * 0.8  # input to hidden
  m['Whh'] = rng.standard_normal((hidden_size, hidden_size)) * 0.7  # hidden to hidden
  m['Wsh'] = rng.standard_normal((hidden_size, D)) * 0.9  # top of stack to hidden
  m['Wha'] = rng.standard_normal((3, hidden_size)) * 1.2  # hidden to action
  m['Whv'] = rng.standard_normal((D, hidden_size)) * 1.1  # hidden to pushed value
  m['Why'] = rng.standard_normal((vocab_size, hidden_size)) * 0.9  # hidden to output
  m['Wsy'] = rng.standard_normal((vocab_size, D)) * 0.9  # top of stack to output
  m['bh'] = rng.standard_normal((hidden_size, 1)) * 0.3
  m['ba'] = rng.standard_normal((3, 1)) * 0.3
  m['bv'] = rng.standard_normal((D, 1)) * 0.3
  m['by'] = rng.standard_normal((vocab_size, 1)) * 0.3
  m['S0'] = rng.standard_normal((K, D)) * 0.8  # what lies on the stack at the start
  return m


def lossFun(inputs, targets, hprev, m, backward=True):
  """
  inputs, targets are arrays of integers, one row per time step, one column per string.
  hprev is Hx(number of strings) array of initial hidden state
  returns the loss and gradients on model parameters
  """
  Wxh, Whh, Wsh, Wha, Whv, Why, Wsy = [m[k] for k in ('Wxh', 'Whh', 'Wsh', 'Wha', 'Whv', 'Why', 'Wsy')]
  bh, ba, bv, by, S0 = m['bh'], m['ba'], m['bv'], m['by'], m['S0']
  n, B = inputs.shape
  cols = np.arange(B)
  xs, hs, acts, vs, Ss, ps = {}, {}, {}, {}, {}, {}
  ups, downs = {}, {}
  hs[-1] = np.copy(hprev)
  Ss[-1] = np.repeat(S0[:, :, None], B, axis=2)  # depth x D x B, row 0 is the top
  loss = 0.0
  # forward pass
  for t in range(n):
    xs[t] = np.zeros((Wxh.shape[1], B))  # encode in 1-of-k representation
    xs[t][inputs[t], cols] = 1
    hs[t] = np.tanh(np.dot(Wxh, xs[t]) + np.dot(Whh, hs[t-1]) + np.dot(Wsh, Ss[t-1][0]) + bh)
    e = np.exp(np.dot(Wha, hs[t]) + ba)
    acts[t] = e / np.sum(e, axis=0)  # probabilities of the three actions
    vs[t] = 1 / (1 + np.exp(-(np.dot(Whv, hs[t]) + bv)))
    ups[t] = np.concatenate([vs[t][None], Ss[t-1][:-1]])  # the stack if we pushed, the lowest falls off
    downs[t] = np.concatenate([Ss[t-1][1:], np.zeros((1,) + vs[t].shape)])  # the stack if we popped
    Ss[t] = acts[t][PUSH] * ups[t] + acts[t][POP] * downs[t] + acts[t][KEEP] * Ss[t-1]
    y = np.dot(Why, hs[t]) + np.dot(Wsy, Ss[t][0]) + by
    ps[t] = np.exp(y) / np.sum(np.exp(y), axis=0)
    loss += -np.sum(np.log(ps[t][targets[t], cols])) / B  # softmax (cross-entropy loss)
  loss += 0.5 * lam * np.sum(Ss[n-1] ** 2) / B
  if not backward:
    return float(loss), None

  # backward pass: compute gradients going backwards
  dWxh, dWhh, dWsh = np.zeros_like(Wxh), np.zeros_like(Whh), np.zeros_like(Wsh)
  dWha, dWhv, dWhy, dWsy = np.zeros_like(Wha), np.zeros_like(Whv), np.zeros_like(Why), np.zeros_like(Wsy)
  dbh, dba, dbv, dby = np.zeros_like(bh), np.zeros_like(ba), np.zeros_like(bv), np.zeros_like(by)
  dhnext = np.zeros_like(hs[0])
  dSnext = lam * Ss[n-1] / B
  for t in reversed(range(n)):
    dy = np.copy(ps[t])
    dy[targets[t], cols] -= 1  # backprop into y. see http://cs231n.github.io/neural-networks-case-study/#grad if confused here
    dy /= B
    dWhy += np.dot(dy, hs[t].T)
    dWsy += np.dot(dy, Ss[t][0].T)
    dby += dy.sum(1, keepdims=True)
    dh = np.dot(Why.T, dy) + dhnext
    dS = dSnext
    dS[0] += np.dot(Wsy.T, dy)
    # the stack: each new cell is a mix of the one above, the one below and itself
    da = np.zeros_like(acts[t])
    da[PUSH] = (dS * ups[t]).sum((0, 1))
    da[POP] = (dS * downs[t]).sum((0, 1))
    da[KEEP] = (dS * Ss[t-1]).sum((0, 1))
    dSprev = acts[t][KEEP] * dS
    dSprev[:-1] += acts[t][PUSH] * dS[1:]
    dSprev[1:] += acts[t][POP] * dS[:-1]
    dvraw = acts[t][PUSH] * dS[0] * vs[t] * (1 - vs[t])
    dWhv += np.dot(dvraw, hs[t].T)
    dbv += dvraw.sum(1, keepdims=True)
    dh += np.dot(Whv.T, dvraw)
    daraw = acts[t] * (da - (acts[t] * da).sum(0))  # softmax jacobian
    dWha += np.dot(daraw, hs[t].T)
    dba += daraw.sum(1, keepdims=True)
    dh += np.dot(Wha.T, daraw)
    dhraw = (1 - hs[t] * hs[t]) * dh  # backprop through tanh nonlinearity
    dbh += dhraw.sum(1, keepdims=True)
    dWxh += np.dot(dhraw, xs[t].T)
    dWhh += np.dot(dhraw, hs[t-1].T)
    dWsh += np.dot(dhraw, Ss[t-1][0].T)
    dSprev[0] += np.dot(Wsh.T, dhraw)
    dhnext = np.dot(Whh.T, dhraw)
    dSnext = dSprev
  dS0 = dSnext.sum(2)
  # for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
  #   np.clip(dparam, -5, 5, out=dparam)   <- breaks the gradient check!!
  return float(loss), {'Wxh': dWxh, 'Whh': dWhh, 'Wsh': dWsh, 'Wha': dWha, 'Whv': dWhv, 'Why': dWhy, 'Wsy': dWsy,
                       'bh': dbh, 'ba': dba, 'bv': dbv, 'by': dby, 'S0': dS0}


def make(Target, rng, T=7, B=3, hidden_size=5, vocab_size=4, D=2, K=4):
  m = init_model(rng, hidden_size, vocab_size, D, K)
  text = rng.integers(vocab_size, size=(T + 1, B))
  hprev = rng.standard_normal((hidden_size, B)) * 0.5
  return Target(m,
                lambda: lossFun(text[:-1], text[1:], hprev, m, backward=False)[0],
                lambda: lossFun(text[:-1], text[1:], hprev, m)[1])


BUGS = {
    "top_not_fed_back": ("dSprev[0] += np.dot(Wsh.T, dhraw)", "pass"),
    "push_shift_same_row": ("dSprev[:-1] += acts[t][PUSH] * dS[1:]", "dSprev[:-1] += acts[t][PUSH] * dS[:-1]"),
    "pop_uses_push_weight": ("dSprev[1:] += acts[t][POP] * dS[:-1]", "dSprev[1:] += acts[t][PUSH] * dS[:-1]"),
    "keep_against_new_stack": ("da[KEEP] = (dS * Ss[t-1]).sum((0, 1))", "da[KEEP] = (dS * Ss[t]).sum((0, 1))"),
    "softmax_sum_over_batch": ("(acts[t] * da).sum(0))  # softmax", "(acts[t] * da).sum(1, keepdims=True))  # softmax"),
    "whh_current_hidden": ("dWhh += np.dot(dhraw, hs[t-1].T)", "dWhh += np.dot(dhraw, hs[t].T)"),
    "stack_penalty_not_divided": ("dSnext = lam * Ss[n-1] / B", "dSnext = lam * Ss[n-1]"),
    "action_bias_overwritten": ("dba += daraw.sum(1, keepdims=True)", "dba = daraw.sum(1, keepdims=True)"),
}
PAIRS = [
    ("top_not_fed_back", "push_shift_same_row"),
    ("pop_uses_push_weight", "keep_against_new_stack"),
    ("softmax_sum_over_batch", "whh_current_hidden"),
    ("stack_penalty_not_divided", "action_bias_overwritten"),
    ("whh_current_hidden", "top_not_fed_back"),
    ("push_shift_same_row", "action_bias_overwritten"),
]
