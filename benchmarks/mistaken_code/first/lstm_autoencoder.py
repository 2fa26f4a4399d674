"""LSTM autoencoder for sequences with values in (0, 1).

The encoder reads the sequence, its final hidden state is squeezed into a code
of half the size, and the decoder LSTM receives the code at every time step.
Each decoder state is mapped to a reconstruction by a sigmoid layer.
"""
import numpy as np
import gradcheck


def sigmoid(x):
    return 1. / (1. + np.exp(-x))


def new_lstm(rng, n_in, n_hid, prefix, params):
    for name in ['i', 'f', 'o', 'g']:
        params[prefix + 'W' + name] = rng.standard_normal((n_in, n_hid)) * 0.8
        params[prefix + 'U' + name] = rng.standard_normal((n_hid, n_hid)) * 0.8
        params[prefix + 'b' + name] = rng.standard_normal(n_hid) * 0.2


def lstm_forward(params, prefix, xs, n_hid):
    """xs: list of (B, n_in).  Returns hidden states and a list of caches."""
    B = xs[0].shape[0]
    h, c = np.zeros((B, n_hid)), np.zeros((B, n_hid))
    hs, caches = [], []
    for x in xs:
        a = {}
        for n in 'ifog':
            a[n] = x @ params[prefix + 'W' + n] + h @ params[prefix + 'U' + n] + params[prefix + 'b' + n]
        i, f, o, g = sigmoid(a['i']), sigmoid(a['f']), sigmoid(a['o']), np.tanh(a['g'])
        c_new = f * c + i * g
        h_new = o * np.tanh(c_new)
        caches.append((x, h, c, c_new, i, f, o, g))
        h, c = h_new, c_new
        hs.append(h)
    return hs, caches


def lstm_backward(params, prefix, dhs, caches, grads):
    """dhs: gradient arriving at each hidden state from above. Returns dxs."""
    for n in 'ifog':
        for m in 'WUb':
            grads[prefix + m + n] = np.zeros_like(params[prefix + m + n])
    dh_next = np.zeros_like(dhs[0])
    dc_next = np.zeros_like(dhs[0])
    dxs = [None] * len(caches)
    for t in reversed(range(len(caches))):
        x, h_prev, c_prev, c, i, f, o, g = caches[t]
        dh = dhs[t] + dh_next
        tanh_c = np.tanh(c)
        dc = dh * o * (1 - tanh_c * tanh_c) + dc_next
        da = {
            'i': dc * g * i * (1 - i),
            'f': dc * c_prev * f * (1 - f),
            'o': dh * tanh_c * o * (1 - o),
            'g': dc * i * (1 - g * g),
        }
        dx = 0
        dh_next = 0
        for n in 'ifog':
            grads[prefix + 'W' + n] += x.T @ da[n]
            grads[prefix + 'U' + n] += h_prev.T @ da[n]
            grads[prefix + 'b' + n] += da[n].sum(axis=0)
            dx = dx + da[n] @ params[prefix + 'W' + n].T
            dh_next = dh_next + da[n] @ params[prefix + 'U' + n].T
        dc_next = dc * f
        dxs[t] = dx
    return dxs


class AutoEncoder(object):
    def __init__(self, rng, n_in, n_hid):
        self.n_hid = n_hid
        n_code = (n_hid + 1) // 2
        self.params = {}
        new_lstm(rng, n_in, n_hid, 'enc_', self.params)
        new_lstm(rng, n_code, n_hid, 'dec_', self.params)
        self.params['Wz'] = rng.standard_normal((n_hid, n_code))
        self.params['bz'] = rng.standard_normal(n_code) * 0.2
        self.params['Wo'] = rng.standard_normal((n_hid, n_in))
        self.params['bo'] = rng.standard_normal(n_in) * 0.2

    def forward(self, xs):
        p = self.params
        enc_hs, enc_caches = lstm_forward(p, 'enc_', xs, self.n_hid)
        z = np.tanh(enc_hs[-1] @ p['Wz'] + p['bz'])
        dec_hs, dec_caches = lstm_forward(p, 'dec_', [z for _ in xs], self.n_hid)
        recon = [sigmoid(h @ p['Wo'] + p['bo']) for h in dec_hs]
        return enc_hs, enc_caches, z, dec_hs, dec_caches, recon

    def loss(self, xs):
        recon = self.forward(xs)[-1]
        return float(np.mean([np.mean((r - x) ** 2) for r, x in zip(recon, xs)]))

    def backward(self, xs):
        p, grads = self.params, {}
        T = len(xs)
        enc_hs, enc_caches, z, dec_hs, dec_caches, recon = self.forward(xs)

        grads['Wo'] = np.zeros_like(p['Wo'])
        grads['bo'] = np.zeros_like(p['bo'])
        d_dec = []
        for t in range(T):
            drec = 2 * (recon[t] - xs[t]) / (T * xs[t].size)
            dpre = drec * sigmoid(recon[t]) * (1 - sigmoid(recon[t]))
            grads['Wo'] += dec_hs[t].T @ dpre
            grads['bo'] += dpre.sum(axis=0)
            d_dec.append(dpre @ p['Wo'].T)

        dzs = lstm_backward(p, 'dec_', d_dec, dec_caches, grads)
        dz = dzs[-1]
        dpre_z = dz * (1 - z * z)
        grads['Wz'] = enc_hs[-1].T @ dpre_z
        grads['bz'] = dpre_z.sum(axis=0)

        d_last = dpre_z @ p['Wz'].T
        d_enc = [d_last for _ in enc_hs]
        lstm_backward(p, 'enc_', d_enc, enc_caches, grads)
        return grads


def prepare(rng, T, B, D, H):
    model = AutoEncoder(rng, D, H)
    xs = [rng.uniform(0, 1, size=(B, D)) for _ in range(T)]
    return model.params, lambda: model.loss(xs), lambda: model.backward(xs)


def make(rng):
    return prepare(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def lstm_autoencoder(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = prepare(rng, T=T, B=B, D=D, H=H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('sigmoid derivative is taken of the already activated reconstruction (sigmoid applied twice)',
  [106],
  [('dpre = drec * sigmoid(recon[t]) * (1 - sigmoid(recon[t]))', 'dpre = drec * recon[t] * (1 - recon[t])')]),
 ("the code is fed to the decoder at every step but only the gradient of the last step's input is used",
  [112],
  [('dz = dzs[-1]', 'dz = sum(dzs)')]),
 ('gradient of the last encoder state is handed to all encoder states',
  [118, 119],
  [('        d_enc = [d_last for _ in enc_hs]\n',
    '        d_enc = [np.zeros_like(h) for h in enc_hs]\n        d_enc[-1] = d_last\n')])]
