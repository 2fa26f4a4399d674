"""Selective diagonal state space model ("mamba-2 on a napkin"), written without a loop over time.

No autodiff available on the target box, so every primitive `op(*args)` returns `(out, vjp)` where
`vjp(ct)` maps the cotangent of `out` to a tuple of cotangents, one per argument, in argument order.

  l_t = dt_t * a                      a = -exp(a_log) < 0
  S_t = exp(l_t) S_{t-1} + (dt_t v_t) k_t^T
  y_t = S_t q_t

unrolled as y_t = sum_{s<=t} exp(L_t - L_s) (q_t . k_s) dt_s v_s + exp(L_t) S_0 q_t,  L = cumsum(l).

b batch, t/s time, d model, h channels, n state, o outputs
"""
import numpy as np

EPS = 0.3
_es = np.einsum


def _sigmoid(x):
  return 0.5 * (1.0 + np.tanh(0.5 * x))


# ---------------------------------------------------------------- primitives


def affine(x, w, b):
  def vjp(ct):
    return ct @ w.T, _es('bti,btj->ij', x, ct), ct.sum((0, 1))

  return x @ w + b, vjp


def rms_norm(x, scale):
  r = 1.0 / np.sqrt(np.mean(x * x, -1, keepdims=True) + EPS)
  xhat = x * r

  def vjp(ct):
    d_xhat = ct * scale
    proj = np.mean(d_xhat * xhat, -1, keepdims=True)
    d_x = r * (d_xhat - xhat * proj)
    return d_x, (ct * xhat).sum((0, 1))

  return xhat * scale, vjp


def softplus(x):
  return np.logaddexp(0.0, x), lambda ct: (ct * _sigmoid(x),)


def silu_gate(y, z):
  s = _sigmoid(z)
  act = z * s

  def vjp(ct):
    d_act = s + act * (1.0 - s)
    return ct * act, ct * y * d_act

  return y * act, vjp


def fork(x):
  """x used twice; the transpose of a copy is a sum."""
  return (x, x), lambda ct0, ct1: ct0 + ct1


def selective_scan(dt, a_log, v, k, q, s0):
  n_t = dt.shape[1]
  a = -np.exp(a_log)
  cum = np.cumsum(dt * a, axis=1)
  causal = np.tril(np.ones((n_t, n_t), bool))[None, :, :, None]
  seg = np.where(causal, cum[:, :, None] - cum[:, None, :], -np.inf)
  decay = np.exp(seg)  # b t s h
  w = dt * v
  score = _es('btn,bsn->bts', q, k)
  carry = np.exp(cum)
  boot = _es('btn,hn->bth', q, s0)
  y = _es('btsh,bts,bsh->bth', decay, score, w) + carry * boot

  def vjp(ct):
    d_seg = decay * score[..., None] * ct[:, :, None] * w[:, None]
    d_score = _es('bth,btsh,bsh->bts', ct, decay, w)
    d_w = _es('bth,btsh,bts->bsh', ct, decay, score)
    d_boot = ct * carry
    d_cum = d_seg.sum(2) - d_seg.sum(1) + d_boot * boot
    # transpose of cumsum = cumsum run backwards in time
    d_l = np.cumsum(d_cum[:, ::-1], axis=1)[:, ::-1]
    d_q = _es('bts,bsn->btn', d_score, k) + _es('bth,hn->btn', d_boot, s0)
    d_k = _es('bts,btn->bsn', d_score, q)
    d_dt = d_l * a + d_w * v
    d_a_log = (d_l * dt).sum((0, 1)) * a
    return d_dt, d_a_log, d_w * dt, d_k, d_q, _es('bth,btn->hn', d_boot, q)

  return y, vjp


def weighted_log_cosh(pred, target, weight):
  """mean over outputs, weighted mean over (b, t).  log cosh r = |r| + log1p(e^{-2|r|}) - log 2"""
  r = pred - target
  ar = np.abs(r)
  per_step = (ar + np.log1p(np.exp(-2.0 * ar)) - np.log(2.0)).mean(-1)
  total = weight.sum()

  def vjp(ct):
    return (ct * np.tanh(r) * weight[..., None] / (total * r.shape[-1]),)

  return float((per_step * weight).sum() / total), vjp


# ---------------------------------------------------------------- model


def block(p, x):
  h, n = p['s0'].shape
  cuts = np.cumsum([h, h, h, n])
  (x_in, x_res), fork_x = fork(x)
  xn, norm_vjp = rms_norm(x_in, p['scale'])
  mixed, in_vjp = affine(xn, p['w_in'], p['b_in'])
  v, z, dt_raw, k, q = np.split(mixed, cuts, axis=-1)
  dt, dt_vjp = softplus(dt_raw)
  (v_scan, v_skip), fork_v = fork(v)
  y, scan_vjp = selective_scan(dt, p['a_log'], v_scan, k, q, p['s0'])
  y = y + p['skip'] * v_skip
  g, gate_vjp = silu_gate(y, z)
  out, out_vjp = affine(g, p['w_out'], p['b_out'])

  def vjp(ct):
    d_p = {}
    d_g, d_p['w_out'], d_p['b_out'] = out_vjp(ct)
    d_y, d_z = gate_vjp(d_g)
    d_p['skip'] = (d_y * v_skip).sum((0, 1))
    d_dt, d_p['a_log'], d_v_scan, d_k, d_q, d_p['s0'] = scan_vjp(d_y)
    d_v = fork_v(d_v_scan, d_y * p['skip'])
    (d_dt_raw,) = dt_vjp(d_dt)
    d_mixed = np.concatenate([d_v, d_z, d_dt_raw, d_k, d_q], axis=-1)
    d_xn, d_p['w_in'], d_p['b_in'] = in_vjp(d_mixed)
    d_x, d_p['scale'] = norm_vjp(d_xn)
    return d_p, fork_x(d_x, ct)

  return x_res + out, vjp


def _subtree(params, prefix):
  return {k[len(prefix):]: v for k, v in params.items() if k.startswith(prefix)}


def value_and_vjp(params, depth, inputs, target, weight):
  x, embed_vjp = affine(inputs, params['embed/w'], params['embed/b'])
  tape = []
  for i in range(depth):
    x, vjp = block(_subtree(params, f'block{i}/'), x)
    tape.append((f'block{i}/', vjp))
  pred, head_vjp = affine(x, params['head/w'], params['head/b'])
  value, loss_vjp = weighted_log_cosh(pred, target, weight)

  def vjp(ct=1.0):
    grads = {}
    (d_pred,) = loss_vjp(ct)
    d_x, grads['head/w'], grads['head/b'] = head_vjp(d_pred)
    for prefix, block_vjp in reversed(tape):
      d_p, d_x = block_vjp(d_x)
      grads.update({prefix + k: g for k, g in d_p.items()})
    _, grads['embed/w'], grads['embed/b'] = embed_vjp(d_x)
    return grads

  return value, vjp


def init(rng, depth, n_in, d, h, n, o):
  def normal(*shape, std=1.0):
    return rng.normal(0.0, std, shape)

  params = {'embed/w': normal(n_in, d), 'embed/b': normal(d, std=0.4)}
  for i in range(depth):
    params.update({
        f'block{i}/scale': 1.0 + normal(d, std=0.4),
        f'block{i}/w_in': normal(d, 3 * h + 2 * n, std=0.45),
        f'block{i}/b_in': normal(3 * h + 2 * n, std=0.4),
        f'block{i}/a_log': normal(h, std=0.5) - 0.3,
        f'block{i}/s0': normal(h, n, std=0.8),
        f'block{i}/skip': normal(h),
        f'block{i}/w_out': normal(h, d, std=0.25),
        f'block{i}/b_out': normal(d, std=0.3),
    })
  params.update({'head/w': normal(d, o, std=0.5), 'head/b': normal(o, std=0.3)})
  return params


def make(Target, rng, T=6, B=3, channels=4, state=3, model=5, inputs=2, outputs=2, depth=2):
  params = init(rng, depth, inputs, model, channels, state, outputs)
  xs = rng.normal(size=(B, T, inputs))
  ys = rng.normal(0.0, 1.5, size=(B, T, outputs))
  weight = rng.uniform(0.3, 1.0, size=(B, T))
  run = lambda: value_and_vjp(params, depth, xs, ys, weight)
  return Target(params, lambda: run()[0], lambda: run()[1]())


BUGS = {
    'cumsum-not-reversed': ("d_l = np.cumsum(d_cum[:, ::-1], axis=1)[:, ::-1]", "d_l = np.cumsum(d_cum, axis=1)"),
    'a-log-chain-lost': ("d_a_log = (d_l * dt).sum((0, 1)) * a", "d_a_log = (d_l * dt).sum((0, 1))"),
    'dt-only-through-decay': ("d_dt = d_l * a + d_w * v", "d_dt = d_l * a"),
    'scores-key-swapped-time': ("d_k = _es('bts,btn->bsn', d_score, q)", "d_k = _es('bts,bsn->btn', d_score, q)"),
    'rms-projection-without-xhat': ("d_x = r * (d_xhat - xhat * proj)", "d_x = r * (d_xhat - proj)"),
    'silu-derivative-sign': ("d_act = s + act * (1.0 - s)", "d_act = s - act * (1.0 - s)"),
    'residual-dropped': ("return d_p, fork_x(d_x, ct)", "return d_p, d_x"),
    'concat-k-q-order': ("d_mixed = np.concatenate([d_v, d_z, d_dt_raw, d_k, d_q], axis=-1)", "d_mixed = np.concatenate([d_v, d_z, d_dt_raw, d_q, d_k], axis=-1)"),
}
PAIRS = [
    ('cumsum-not-reversed', 'scores-key-swapped-time'),
    ('a-log-chain-lost', 'dt-only-through-decay'),
    ('rms-projection-without-xhat', 'concat-k-q-order'),
    ('silu-derivative-sign', 'residual-dropped'),
    ('residual-dropped', 'a-log-chain-lost'),
    ('dt-only-through-decay', 'silu-derivative-sign'),
]
