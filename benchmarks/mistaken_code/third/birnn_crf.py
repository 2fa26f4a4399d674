"""BiRNN-CRF tagger: negative log-likelihood of a linear chain over bidirectional tanh states.

Sentences have different lengths and are processed one at a time; the gradient of the
chain is (expected counts - gold counts), computed from log alphas and log betas.
"""
import numpy as np

NUM_WORDS, EMB_DIM, HID_DIM, NUM_TAGS = 5, 2, 3, 3


def logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    return (top + np.log(np.exp(a - top).sum(axis=axis, keepdims=True))).squeeze(axis)


def run_direction(params, tag, inputs):
    """One-directional tanh RNN with a zero initial state; returns len+1 states."""
    states = [np.zeros(HID_DIM)]
    for vec in inputs:
        states.append(np.tanh(vec @ params['W_' + tag] + states[-1] @ params['U_' + tag] + params['b_' + tag]))
    return np.array(states)


def backprop_direction(params, grads, tag, inputs, states, d_out):
    d_inputs = np.zeros_like(inputs)
    d_carry = np.zeros(HID_DIM)
    for step in range(len(inputs) - 1, -1, -1):
        d_pre = (d_out[step] + d_carry) * (1.0 - states[step + 1] ** 2)
        grads['W_' + tag] += np.outer(inputs[step], d_pre)
        grads['U_' + tag] += np.outer(states[step], d_pre)
        grads['b_' + tag] += d_pre
        d_inputs[step] = params['W_' + tag] @ d_pre
        d_carry = params['U_' + tag] @ d_pre
    return d_inputs


def encode(params, words):
    emb = params['emb'][words]
    fwd = run_direction(params, 'fwd', emb)
    bwd = run_direction(params, 'bwd', emb[::-1])
    features = np.concatenate([fwd[1:], bwd[1:][::-1]], axis=1)
    emissions = features @ params['proj'] + params['proj_bias']
    return emb, fwd, bwd, features, emissions


def forward_scores(params, emissions):
    alphas = [params['start'] + emissions[0]]
    for em in emissions[1:]:
        alphas.append(logsumexp(alphas[-1][:, None] + params['trans'], axis=0) + em)
    return np.array(alphas)


def backward_scores(params, emissions):
    betas = [np.zeros(NUM_TAGS)]
    for em in emissions[:0:-1]:
        betas.append(logsumexp(params['trans'] + (em + betas[-1])[None, :], axis=1))
    return np.array(betas[::-1])


def gold_score(params, emissions, tags):
    score = params['start'][tags[0]] + params['end'][tags[-1]]
    score += emissions[np.arange(len(tags)), tags].sum()
    return score + params['trans'][tags[:-1], tags[1:]].sum()


def corpus_nll(params, corpus):
    total = 0.0
    for words, tags in corpus:
        emissions = encode(params, words)[-1]
        alphas = forward_scores(params, emissions)
        total += logsumexp(alphas[-1] + params['end'], axis=0) - gold_score(params, emissions, tags)
    return float(total / len(corpus))


def crf_gradients(params, grads, emissions, tags, weight):
    alphas = forward_scores(params, emissions)
    betas = backward_scores(params, emissions)
    log_z = logsumexp(alphas[-1] + params['end'], axis=0)

    marginals = np.exp(alphas + betas - log_z)
    d_emissions = weight * marginals
    d_emissions[np.arange(len(tags)), tags] -= 1.0

    grads['start'] += weight * marginals[0]
    grads['end'] += weight * marginals[-1]
    grads['start'][tags[0]] -= weight
    grads['end'][tags[-1]] -= weight

    for pos in range(len(tags) - 1):
        pair = alphas[pos][:, None] + params['trans'] + (emissions[pos + 1] + betas[pos + 1])[None, :]
        grads['trans'] += weight * np.exp(pair - log_z)
    np.add.at(grads['trans'], (tags[:-1], tags[1:]), -weight)
    return d_emissions


def corpus_gradients(params, corpus):
    grads = {name: np.zeros_like(value) for name, value in params.items()}
    for words, tags in corpus:
        emb, fwd, bwd, features, emissions = encode(params, words)
        d_emissions = crf_gradients(params, grads, emissions, tags, 1.0 / len(corpus))
        grads['proj'] += features.T @ d_emissions
        grads['proj_bias'] += d_emissions.sum(axis=0)
        d_features = d_emissions @ params['proj'].T
        d_fwd, d_bwd = d_features[:, :HID_DIM], d_features[:, HID_DIM:][::-1]
        d_emb = backprop_direction(params, grads, 'fwd', emb, fwd, d_fwd)
        d_emb += backprop_direction(params, grads, 'bwd', emb[::-1], bwd, d_bwd)[::-1]
        grads['emb'][words] += d_emb
    return grads


def make(rng):
    params = {'emb': rng.normal(size=(NUM_WORDS, EMB_DIM))}
    for tag in ('fwd', 'bwd'):
        params['W_' + tag] = rng.normal(size=(EMB_DIM, HID_DIM))
        params['U_' + tag] = 0.7 * rng.normal(size=(HID_DIM, HID_DIM))
        params['b_' + tag] = 0.2 * rng.normal(size=HID_DIM)
    params['proj'] = rng.normal(size=(2 * HID_DIM, NUM_TAGS))
    params['proj_bias'] = rng.normal(size=NUM_TAGS)
    params['trans'] = rng.normal(size=(NUM_TAGS, NUM_TAGS))
    params['start'], params['end'] = rng.normal(size=(2, NUM_TAGS))
    corpus = [(np.array(w), rng.integers(0, NUM_TAGS, len(w)))
              for w in ([0, 1, 0, 2], [3, 3, 4], [1, 2, 4, 1, 1])]
    return params, lambda: corpus_nll(params, corpus), lambda: corpus_gradients(params, corpus)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('repeated words: fancy-index += keeps only the last',
  [107],
  [("grads['emb'][words] += d_emb", "np.add.at(grads['emb'], words, d_emb)")]),
 ('end scores missing at the start of the beta recursion',
  [54, 80],
  [('betas = [np.zeros(NUM_TAGS)]', "betas = [params['end']]")]),
 ('gold counts of the emissions not divided by the number of sentences',
  [82],
  [('d_emissions[np.arange(len(tags)), tags] -= 1.0', 'd_emissions[np.arange(len(tags)), tags] -= weight')])]
