# In[1]:
import numpy as np

# In[2]: hyperparameters
LAMBDA = 0.05        # weight decay
INIT_SCALE = 0.7
DECAYED = ["Wxf", "Whf", "Wxb", "Whb", "Why"]


# In[3]: parameters, everything is a column vector (H, 1)
def init_params(rng, vocab_size, emb_size, hidden_size, n_tags):
    p = {}
    p["E"] = rng.normal(size=(emb_size, vocab_size))
    for d in ["f", "b"]:
        p["Wx" + d] = rng.normal(size=(hidden_size, emb_size)) * INIT_SCALE
        p["Wh" + d] = rng.normal(size=(hidden_size, hidden_size)) * INIT_SCALE
        p["b" + d] = rng.normal(size=(hidden_size, 1)) * 0.2
        p["h0" + d] = rng.normal(size=(hidden_size, 1)) * 0.5
    p["Why"] = rng.normal(size=(n_tags, 2 * hidden_size)) * INIT_SCALE
    p["by"] = rng.normal(size=(n_tags, 1)) * 0.2
    return p


# In[4]: forward pass for one sentence
def forward(words, p):
    T = len(words)
    xs, hf, hb, ps = {}, {}, {}, {}
    hf[-1] = p["h0f"]
    hb[T] = p["h0b"]
    for t in range(T):
        xs[t] = p["E"][:, [words[t]]]
        hf[t] = np.tanh(np.dot(p["Wxf"], xs[t]) + np.dot(p["Whf"], hf[t - 1]) + p["bf"])
    for t in reversed(range(T)):
        hb[t] = np.tanh(np.dot(p["Wxb"], xs[t]) + np.dot(p["Whb"], hb[t + 1]) + p["bb"])
    for t in range(T):
        y = np.dot(p["Why"], np.vstack((hf[t], hb[t]))) + p["by"]
        e = np.exp(y - np.max(y))
        ps[t] = e / np.sum(e)
    return xs, hf, hb, ps


# In[5]: backward pass for one sentence, adds to the gradients in g
def backward(words, tags, p, g, xs, hf, hb, ps, n_words):
    T = len(words)
    H = p["Whf"].shape[0]
    dhf, dhb = {}, {}

    # output layer
    for t in range(T):
        dy = np.copy(ps[t])
        dy[tags[t]] -= 1
        dy /= n_words
        g["Why"] += np.dot(dy, np.vstack((hf[t], hb[t])).T)
        g["by"] += dy
        dcat = np.dot(p["Why"].T, dy)
        dhf[t] = dcat[:H]
        dhb[t] = dcat[H:]

    # left-to-right rnn: go back from the last word
    dhnext = np.zeros((H, 1))
    for t in reversed(range(T)):
        dh = dhf[t] + dhnext
        dzf = (1 - hf[t] * hf[t]) * dh
        g["bf"] += dzf
        g["Wxf"] += np.dot(dzf, xs[t].T)
        g["Whf"] += np.dot(dzf, hf[t - 1].T)
        g["E"][:, [words[t]]] += np.dot(p["Wxf"].T, dzf)
        dhnext = np.dot(p["Whf"].T, dzf)
    g["h0f"] += dhnext

    # right-to-left rnn: it ended at the first word, so start there
    dhnext = np.zeros((H, 1))
    for t in range(0, T):
        dh = dhb[t] + dhnext
        dzb = (1 - hb[t] * hb[t]) * dh
        g["bb"] += dzb
        g["Wxb"] += np.dot(dzb, xs[t].T)
        g["Whb"] += np.dot(dzb, hb[t + 1].T)
        g["E"][:, [words[t]]] += np.dot(p["Wxb"].T, dzb)
        dhnext = np.dot(p["Whb"].T, dzb)
    g["h0b"] += dhnext


# In[6]: loss over the whole (tiny) corpus
def corpus_loss(corpus, p):
    n_words = sum(len(words) for words, _ in corpus)
    total = 0.0
    for words, tags in corpus:
        xs, hf, hb, ps = forward(words, p)
        for t in range(len(words)):
            total += -np.log(ps[t][tags[t], 0])
    return float(total / n_words + 0.5 * LAMBDA * sum(np.sum(p[k] ** 2) for k in DECAYED))


def corpus_grads(corpus, p):
    n_words = sum(len(words) for words, _ in corpus)
    g = {k: np.zeros_like(v) for k, v in p.items()}
    for words, tags in corpus:
        xs, hf, hb, ps = forward(words, p)
        backward(words, tags, p, g, xs, hf, hb, ps, n_words)
    for k in DECAYED:
        g[k] += LAMBDA * p[k]
    return g


# In[7]:
def make(Target, rng, vocab_size=6, emb_size=3, hidden_size=4, n_tags=3, T=4, n_sentences=2):
    params = init_params(rng, vocab_size, emb_size, hidden_size, n_tags)
    corpus = []
    for s in range(n_sentences):
        words = rng.integers(0, vocab_size, size=T + s)
        tags = rng.integers(0, n_tags, size=T + s)
        corpus.append((words, tags))

    def loss():
        return corpus_loss(corpus, params)

    def grads():
        return corpus_grads(corpus, params)

    return Target(params, loss, grads)


# In[8]:
BUGS = {
    "divided-by-sentence-length": ("dy /= n_words", "dy /= T"),
    "right-half-slice-is-left-half": ("dhb[t] = dcat[H:]", "dhb[t] = dcat[:H]"),
    "whf-time-index": ("g[\"Whf\"] += np.dot(dzf, hf[t - 1].T)", "g[\"Whf\"] += np.dot(dzf, hf[t].T)"),
    "forward-carry-not-transposed": ("dhnext = np.dot(p[\"Whf\"].T, dzf)", "dhnext = np.dot(p[\"Whf\"], dzf)"),
    "right-to-left-wrong-order": ("for t in range(0, T):", "for t in reversed(range(0, T)):"),
    "copy-paste-hf-in-hb-slope": ("dzb = (1 - hb[t] * hb[t]) * dh", "dzb = (1 - hf[t] * hf[t]) * dh"),
    "embedding-overwritten": ("g[\"E\"][:, [words[t]]] += np.dot(p[\"Wxb\"].T, dzb)", "g[\"E\"][:, [words[t]]] = np.dot(p[\"Wxb\"].T, dzb)"),
    "weight-decay-sign": ("g[k] += LAMBDA * p[k]", "g[k] -= LAMBDA * p[k]"),
}
PAIRS = [
    ("right-half-slice-is-left-half", "copy-paste-hf-in-hb-slope"),
    ("right-to-left-wrong-order", "embedding-overwritten"),
    ("whf-time-index", "forward-carry-not-transposed"),
    ("right-to-left-wrong-order", "right-half-slice-is-left-half"),
    ("whf-time-index", "weight-decay-sign"),
    ("divided-by-sentence-length", "copy-paste-hf-in-hb-slope"),
]
