# Homework 3, question 2: part-of-speech tagger.
# Elman network, one sentence after another, softmax at each word.
# Word 0 is padding: such a step is skipped (the state stays, no loss).
# The scores also see the word itself (skip connection), rare tags count more.
import numpy as np


def tagger(theta, sentences, tags, tag_weight, want_gradient):
    E = theta["E"]
    Wx = theta["Wx"]
    Wh = theta["Wh"]
    b = theta["b"]
    start = theta["start"]
    Wy = theta["Wy"]
    Ws = theta["Ws"]
    c = theta["c"]
    H = Wh.shape[0]
    K = Wy.shape[0]
    n_sentences = len(sentences)

    # number of real words in the whole batch
    n_words = 0
    for s in range(n_sentences):
        for word in sentences[s]:
            if word != 0:
                n_words = n_words + 1

    loss = 0.0
    all_states = []
    all_probs = []

    # ---------- forward ----------
    for s in range(n_sentences):
        sentence = sentences[s]
        T = len(sentence)
        hs = np.zeros((T + 1, H))
        hs[0] = start
        probs = np.zeros((T, K))
        for t in range(T):
            word = sentence[t]
            if word == 0:
                hs[t + 1] = hs[t]
                continue
            x = E[word]
            hs[t + 1] = np.tanh(np.dot(Wx, x) + np.dot(Wh, hs[t]) + b)
            score = np.dot(Wy, hs[t + 1]) + np.dot(Ws, x) + c
            score = np.exp(score - np.max(score))
            probs[t] = score / np.sum(score)
            tag = tags[s][t]
            loss = loss - tag_weight[tag] * np.log(probs[t][tag]) / n_words
        all_states.append(hs)
        all_probs.append(probs)

    if not want_gradient:
        return loss, None

    # ---------- backward ----------
    dE = np.zeros(E.shape)
    dWx = np.zeros(Wx.shape)
    dWh = np.zeros(Wh.shape)
    db = np.zeros(b.shape)
    dstart = np.zeros(start.shape)
    dWy = np.zeros(Wy.shape)
    dWs = np.zeros(Ws.shape)
    dc = np.zeros(c.shape)
    for s in range(n_sentences):
        sentence = sentences[s]
        hs = all_states[s]
        probs = all_probs[s]
        dh_next = np.zeros(H)
        for t in range(len(sentence) - 1, -1, -1):
            word = sentence[t]
            if word == 0:
                continue
            x = E[word]
            tag = tags[s][t]
            # softmax + cross entropy
            dscore = probs[t].copy()
            dscore[tag] = dscore[tag] - 1.0
            dscore = dscore * tag_weight[tag] / n_words
            # output layer
            dWy = dWy + np.outer(dscore, hs[t + 1])
            dWs = dWs + np.outer(dscore, x)
            dc = dc + dscore
            # hidden layer
            dh = np.dot(Wy.T, dscore) + dh_next
            da = dh * (1.0 - hs[t + 1] * hs[t + 1])
            dWx = dWx + np.outer(da, x)
            dWh = dWh + np.outer(da, hs[t])
            db = db + da
            # the word vector is used twice
            dx = np.dot(Wx.T, da)
            dx = dx + np.dot(Ws.T, dscore)
            dE[word] = dE[word] + dx
            dh_next = np.dot(Wh.T, da)
        dstart = dstart + dh_next

    gradient = {}
    gradient["E"] = dE
    gradient["Wx"] = dWx
    gradient["Wh"] = dWh
    gradient["b"] = db
    gradient["start"] = dstart
    gradient["Wy"] = dWy
    gradient["Ws"] = dWs
    gradient["c"] = dc
    return loss, gradient


def make(Target, rng, T=4, B=3, D=3, H=4):
    V, K = 4, 3
    theta = {"E": rng.normal(size=(V, D)), "Wx": rng.normal(size=(H, D)) * 0.6, "Wh": rng.normal(size=(H, H)) * 0.6,
             "b": rng.normal(size=H) * 0.3, "start": rng.normal(size=H) * 0.5, "Wy": rng.normal(size=(K, H)),
             "Ws": rng.normal(size=(K, D)) * 0.7, "c": rng.normal(size=K) * 0.3}
    sentences = rng.integers(1, V, (B, T))
    sentences[0, 1] = 0
    sentences[1, T - 1] = 0
    tags = rng.integers(0, K, (B, T))
    tag_weight = np.array([0.5, 1.0, 2.5])
    return Target(theta, lambda: tagger(theta, sentences, tags, tag_weight, False)[0],
                  lambda: tagger(theta, sentences, tags, tag_weight, True)[1])


BUGS = {
    "word-seen-before-overwritten": ("dE[word] = dE[word] + dx", "dE[word] = dx"),
    "skip-path-to-word-missing": ("dx = dx + np.dot(Ws.T, dscore)", "pass"),
    "tag-weight-forgotten": ("dscore = dscore * tag_weight[tag] / n_words", "dscore = dscore / n_words"),
    "divided-by-padded-length": ("dscore = dscore * tag_weight[tag] / n_words", "dscore = dscore * tag_weight[tag] / sentences.size"),
    "start-of-last-sentence-only": ("dstart = dstart + dh_next", "dstart = dh_next"),
    "one-hot-assigned": ("dscore[tag] = dscore[tag] - 1.0", "dscore[tag] = -1.0"),
    "carry-not-reset-between-sentences": ("dh_next = np.zeros(H)", "dh_next = np.zeros(H) if s == 0 else dh_next"),
    "tanh-derivative-of-old-state": ("da = dh * (1.0 - hs[t + 1] * hs[t + 1])", "da = dh * (1.0 - hs[t] * hs[t])"),
}

PAIRS = [
    ("word-seen-before-overwritten", "tanh-derivative-of-old-state"),
    ("tag-weight-forgotten", "start-of-last-sentence-only"),
]
