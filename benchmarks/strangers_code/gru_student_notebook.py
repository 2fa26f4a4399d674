# coding: utf-8
# # Exercise 4 - a word level GRU from scratch
#
# (exported with jupyter nbconvert --to script)
# We use column vectors everywhere, like in the slides. One sentence at a time, no batches.

# In[1]:

import numpy as np


# ## Helper functions

# In[2]:

def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def softmax(a):
    e = np.exp(a - np.max(a))
    return e / np.sum(e)


WEIGHT_MATRICES = ['Wz', 'Uz', 'Wr', 'Ur', 'Wh', 'Uh', 'Why']     # only these get weight decay, not biases/embeddings


# In[3]:

def init_params(rng, vocab_size, emb_size, hidden_size):
    params = {}
    params['E'] = rng.normal(size=(emb_size, vocab_size))          # one COLUMN per word
    for gate in ['z', 'r', 'h']:
        params['W' + gate] = rng.normal(size=(hidden_size, emb_size)) * 0.8
        params['U' + gate] = rng.normal(size=(hidden_size, hidden_size)) * 0.8
        params['b' + gate] = rng.normal(size=(hidden_size, 1)) * 0.3
    params['Why'] = rng.normal(size=(vocab_size, hidden_size))
    params['by'] = rng.normal(size=(vocab_size, 1)) * 0.3
    return params


# ## Forward pass
#
# $z_t = \sigma(W_z x_t + U_z h_{t-1} + b_z)$
#
# $r_t = \sigma(W_r x_t + U_r h_{t-1} + b_r)$
#
# $\hat h_t = \tanh(W_h x_t + U_h (r_t * h_{t-1}) + b_h)$
#
# $h_t = (1 - z_t) * h_{t-1} + z_t * \hat h_t$

# In[4]:

def forward(params, inputs, targets, hprev, reg):
    """returns the loss and a dictionary of lists. Careful!! cache['h'] has one entry more (h_0 is in front)"""
    cache = {'x': [], 'z': [], 'r': [], 'hhat': [], 'h': [], 'p': []}
    cache['h'].append(hprev)
    loss = 0
    for t in range(len(inputs)):
        x = params['E'][:, [inputs[t]]]                            # (emb, 1)
        h = cache['h'][-1]
        z = sigmoid(np.dot(params['Wz'], x) + np.dot(params['Uz'], h) + params['bz'])
        r = sigmoid(np.dot(params['Wr'], x) + np.dot(params['Ur'], h) + params['br'])
        hhat = np.tanh(np.dot(params['Wh'], x) + np.dot(params['Uh'], r * h) + params['bh'])
        h = (1 - z) * h + z * hhat
        p = softmax(np.dot(params['Why'], h) + params['by'])
        loss += -np.log(p[targets[t], 0])
        cache['x'].append(x)
        cache['z'].append(z)
        cache['r'].append(r)
        cache['hhat'].append(hhat)
        cache['h'].append(h)
        cache['p'].append(p)
    # weight decay
    for name in WEIGHT_MATRICES:
        loss += 0.5 * reg * np.sum(params[name] ** 2)
    return loss, cache


# ## Backward pass (BPTT)
#
# I derived this on paper, see the scan. `_raw` means before the nonlinearity.

# In[5]:

def backward(params, inputs, targets, cache, reg):
    grads = {}
    for name in params:
        grads[name] = np.zeros_like(params[name])

    dhnext = np.zeros_like(cache['h'][0])
    for t in reversed(range(len(inputs))):
        x = cache['x'][t]
        z = cache['z'][t]
        r = cache['r'][t]
        hhat = cache['hhat'][t]
        h_prev = cache['h'][t]
        h = cache['h'][t + 1]

        # softmax + cross entropy
        dy = np.copy(cache['p'][t])
        dy[targets[t]] -= 1
        grads['Why'] += np.dot(dy, h.T)
        grads['by'] += dy
        dh = np.dot(params['Why'].T, dy) + dhnext

        # h = (1 - z) * h_prev + z * hhat
        dz = dh * (hhat - h_prev)
        dhhat = dh * z

        # candidate
        dhhat_raw = dhhat * (1 - hhat ** 2)
        grads['Wh'] += np.dot(dhhat_raw, x.T)
        grads['Uh'] += np.dot(dhhat_raw, (r * h_prev).T)
        grads['bh'] += dhhat_raw
        drh = np.dot(params['Uh'].T, dhhat_raw)

        # reset gate
        dr = drh * h_prev
        dr_raw = dr * r * (1 - r)
        grads['Wr'] += np.dot(dr_raw, x.T)
        grads['Ur'] += np.dot(dr_raw, h_prev.T)
        grads['br'] += dr_raw

        # update gate
        dz_raw = dz * z * (1 - z)
        grads['Wz'] += np.dot(dz_raw, x.T)
        grads['Uz'] += np.dot(dz_raw, h_prev.T)
        grads['bz'] += dz_raw

        # word vector
        dx = np.dot(params['Wh'].T, dhhat_raw) + np.dot(params['Wr'].T, dr_raw) + np.dot(params['Wz'].T, dz_raw)
        grads['E'][:, [inputs[t]]] += dx

        # to the previous time step: 4 ways!
        dhnext = dh * (1 - z) + drh * r + np.dot(params['Ur'].T, dr_raw) + np.dot(params['Uz'].T, dz_raw)

    for name in WEIGHT_MATRICES:
        grads[name] += reg * params[name]
    return grads


# In[6]:

def loss_and_grads(params, inputs, targets, hprev, reg=0.05):
    loss, cache = forward(params, inputs, targets, hprev, reg)
    grads = backward(params, inputs, targets, cache, reg)
    return loss, grads, cache['h'][-1]


# ## Test it on a random sentence
#
# (T is bigger than V so at least one word comes twice)

# In[7]:

def make(Target, rng, V=5, D=3, H=4, T=6):
    params = init_params(rng, V, D, H)
    sentence = [int(w) for w in rng.integers(0, V, T + 1)]
    inputs, targets = sentence[:-1], sentence[1:]
    hprev = rng.normal(size=(H, 1)) * 0.5                          # left over from the sentence before
    return Target(params,
                  lambda: float(forward(params, inputs, targets, hprev, 0.05)[0]),
                  lambda: loss_and_grads(params, inputs, targets, hprev)[1])


BUGS = {
    "update-gate-difference-swapped": ("dz = dh * (hhat - h_prev)", "dz = dh * (h_prev - hhat)"),
    "candidate-matrix-without-reset-gate": ("grads['Uh'] += np.dot(dhhat_raw, (r * h_prev).T)", "grads['Uh'] += np.dot(dhhat_raw, h_prev.T)"),
    "inputs-instead-of-targets": ("dy[targets[t]] -= 1", "dy[inputs[t]] -= 1"),
    "first-step-skipped": ("for t in reversed(range(len(inputs))):", "for t in reversed(range(1, len(inputs))):"),
    "repeated-word-overwritten": ("grads['E'][:, [inputs[t]]] += dx", "grads['E'][:, [inputs[t]]] = dx"),
    "weight-decay-twice": ("grads[name] += reg * params[name]", "grads[name] += 2 * reg * params[name]"),
    "sigmoid-derivative-of-the-other-gate": ("dr_raw = dr * r * (1 - r)", "dr_raw = dr * r * (1 - z)"),
    "gates-do-not-reach-the-previous-state": ("dhnext = dh * (1 - z) + drh * r + np.dot(params['Ur'].T, dr_raw) + np.dot(params['Uz'].T, dz_raw)", "dhnext = dh * (1 - z) + drh * r"),
}

PAIRS = [("update-gate-difference-swapped", "repeated-word-overwritten"), ("candidate-matrix-without-reset-gate", "weight-decay-twice")]
