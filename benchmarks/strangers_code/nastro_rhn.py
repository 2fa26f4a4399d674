"""
Mini-autograd "a nastro" fatto in casa + Recurrent Highway Network sopra.

Ogni operazione registra sul nastro una regola g -> (gradiente di ogni genitore).
Le regole sono tutte scritte a mano; layer norm, softmax e cross entropy sono nodi unici
(piu' veloci che comporli da operazioni elementari).
"""
import numpy as np

EPS_LN = 1e-2


def riporta(g, forma):
  """disfa il broadcasting: somma sugli assi che numpy ha allargato"""
  while g.ndim > len(forma):
    g = g.sum(axis=0)
  for asse, n in enumerate(forma):
    if n == 1 and g.shape[asse] != 1:
      g = g.sum(axis=asse, keepdims=True)
  return g


class Nodo:
  __array_ufunc__ = None      # cosi' ndarray * Nodo chiama __rmul__

  def __init__(io, val, nastro, genitori=(), regola=None):
    io.val, io.nastro, io.genitori, io.regola = val, nastro, genitori, regola
    io.grad = None
    nastro.append(io)

  def _nuovo(io, val, genitori, regola):
    return Nodo(val, io.nastro, genitori, regola)

  def _nodo(io, x):
    return x if isinstance(x, Nodo) else Nodo(np.asarray(x, dtype=float), io.nastro)

  # ---- aritmetica
  def __add__(io, b):
    b = io._nodo(b)
    return io._nuovo(io.val + b.val, (io, b), lambda g: (riporta(g, io.val.shape), riporta(g, b.val.shape)))

  def __sub__(io, b):
    b = io._nodo(b)
    return io._nuovo(io.val - b.val, (io, b),
                     lambda g: (riporta(g, io.val.shape), riporta(-g, b.val.shape)))

  def __rsub__(io, b):
    return io._nodo(b) - io

  def __mul__(io, b):
    b = io._nodo(b)
    def regola(g):
      ga = g * b.val
      gb = g * io.val
      return riporta(ga, io.val.shape), riporta(gb, b.val.shape)
    return io._nuovo(io.val * b.val, (io, b), regola)

  __radd__, __rmul__ = __add__, __mul__

  def __truediv__(io, b):
    def regola(g):
      sopra = g / b.val
      sotto = -g * io.val / b.val ** 2
      return riporta(sopra, io.val.shape), riporta(sotto, b.val.shape)
    return io._nuovo(io.val / b.val, (io, b), regola)

  def __matmul__(io, b):
    return io._nuovo(io.val @ b.val, (io, b), lambda g: (g @ b.val.T, io.val.T @ g))

  # ---- forma
  @property
  def T(io):
    return io._nuovo(io.val.T, (io,), lambda g: (g.T,))

  def righe(io, indici):        # embedding lookup
    def regola(g):
      z = np.zeros_like(io.val)
      np.add.at(z, indici, g)
      return (z,)
    return io._nuovo(io.val[indici], (io,), regola)

  def passo(io, t):             # (B, T, D) -> (B, D)
    def regola(g):
      z = np.zeros_like(io.val)
      z[:, t] = g
      return (z,)
    return io._nuovo(io.val[:, t], (io,), regola)

  def somma(io, asse):
    def regola(g):
      return (np.broadcast_to(np.expand_dims(g, asse), io.val.shape),)
    return io._nuovo(io.val.sum(axis=asse), (io,), regola)

  # ---- non linearita'
  def tanh(io):
    y = np.tanh(io.val)
    return io._nuovo(y, (io,), lambda g: (g * (1 - y * y),))

  def sigma(io):
    y = 1 / (1 + np.exp(-io.val))
    return io._nuovo(y, (io,), lambda g: (g * y * (1 - y),))

  def radice(io):
    y = np.sqrt(io.val)
    return io._nuovo(y, (io,), lambda g: (g * 0.5 / y,))

  def norma_strato(io):
    d = io.val - io.val.mean(axis=-1, keepdims=True)
    dev = np.sqrt((d * d).mean(axis=-1, keepdims=True) + EPS_LN)
    xn = d / dev
    def regola(g):
      media = g.mean(axis=-1, keepdims=True)
      lungo = (g * xn).mean(axis=-1, keepdims=True)
      return ((g - media - xn * lungo) / dev,)
    return io._nuovo(xn, (io,), regola)

  def softmax(io):
    e = np.exp(io.val - io.val.max(axis=1, keepdims=True))
    q = e / e.sum(axis=1, keepdims=True)
    return io._nuovo(q, (io,), lambda g: (q * (g - (g * q).sum(axis=1, keepdims=True)),))

  def entropia_incrociata(io, classi):
    m = io.val.max(axis=1, keepdims=True)
    logz = m + np.log(np.exp(io.val - m).sum(axis=1, keepdims=True))
    quali = np.arange(len(classi))
    def regola(g):
      delta = np.exp(io.val - logz)
      delta[quali, classi] -= 1
      return (delta * (g / len(classi)),)
    return io._nuovo(np.mean(logz[:, 0] - io.val[quali, classi]), (io,), regola)

  def indietro(io):
    io.grad = np.ones_like(io.val)
    for nodo in reversed(io.nastro):
      if nodo.regola is None or nodo.grad is None:
        continue
      for gen, g in zip(nodo.genitori, nodo.regola(nodo.grad)):
        gen.grad = g if gen.grad is None else gen.grad + g


def impila(nodi):
  """lista di (B, H) -> (B, T, H)"""
  return nodi[0]._nuovo(np.stack([n.val for n in nodi], axis=1), tuple(nodi),
                        lambda g: tuple(g[:, t] for t in range(len(nodi))))


def modello(par, dati):
  nastro = []
  P = {k: Nodo(v, nastro) for k, v in par.items()}
  B, T = dati["parole"].shape
  emb = P["E"].righe(dati["parole"])
  s = P["s0"] + np.zeros((B, 1))
  costo = 0.0
  storia = []
  for t in range(T):
    vecchio = s
    x = emb.passo(t)
    for l in range(dati["strati"]):
      zh = s @ P["Rh%d" % l]
      zt = s @ P["Rt%d" % l]
      if l == 0:                # l'ingresso entra solo nel primo microstrato
        zh = zh + x @ P["Wh"]
        zt = zt + x @ P["Wt"]
      h = (zh.norma_strato() * P["gamma"] + P["bh"]).tanh()
      tr = (zt + P["bt"]).sigma()
      s = h * tr + s * (1.0 - tr)
    tieni = dati["zoneout"][:, t]
    s = tieni * s + (1 - tieni) * vecchio
    storia.append(s)
    # pesi di uscita legati all'embedding
    punti = (s @ P["U"]) @ P["E"].T
    costo = costo + punti.entropia_incrociata(dati["bersaglio"][:, t]) * (1.0 / T)
  # riassunto della frase: attenzione sugli stati
  Hs = impila(storia)
  pesi = impila([(st @ P["A"]).tanh() @ P["a"] for st in storia]).softmax()
  ctx = (Hs * pesi).somma(1)
  # righe(:, None) e' solo per riavere la colonna (B,1)
  ctx = ctx / ((ctx * ctx).somma(1) + 0.3).radice().righe((slice(None), None))
  scarto = ctx @ P["C"] - dati["voto"]
  costo = costo + (scarto * scarto).somma(1).somma(0) * (0.5 / B)
  return costo, P


def make(Target, rng, T=4, B=3, H=4, D=3, V=5, L=2):
  n = lambda scala, *forma: rng.normal(0.0, scala, forma)
  par = {"E": n(1.0, V, D), "s0": n(0.7, 1, H), "Wh": n(0.8, D, H), "Wt": n(0.8, D, H),
         "gamma": 1 + n(0.3, H), "bh": n(0.4, H), "bt": n(0.4, H), "U": n(0.9, H, D),
         "A": n(1.0, H, H), "a": n(1.3, H, 1), "C": n(1.0, H, 2)}
  for l in range(L):
    par["Rh%d" % l], par["Rt%d" % l] = n(0.9, H, H), n(0.9, H, H)
  dati = {"parole": rng.integers(0, V, (B, T)), "bersaglio": rng.integers(0, V, (B, T)), "strati": L,
          "zoneout": (rng.random((B, T, H)) < 0.75).astype(float), "voto": rng.normal(size=(B, 2)) * 1.5}

  def loss():
    return float(modello(par, dati)[0].val)

  def grads():
    costo, P = modello(par, dati)
    costo.indietro()
    return {k: np.zeros_like(par[k]) if P[k].grad is None else np.array(P[k].grad) for k in par}

  return Target(par, loss, grads)


BUGS = {
  "broadcast-con-media": ("    g = g.sum(axis=0)", "    g = g.mean(axis=0)"),
  "divisore-non-al-quadrato": ("sotto = -g * io.val / b.val ** 2", "sotto = -g * io.val / b.val"),
  "lookup-senza-accumulo": ("np.add.at(z, indici, g)", "z[indici] = g"),
  "passo-sbagliato": ("      z[:, t] = g", "      z[:, t - 1] = g"),
  "layernorm-senza-varianza": ("return ((g - media - xn * lungo) / dev,)", "return ((g - media) / dev,)"),
  "softmax-solo-diagonale": ("lambda g: (q * (g - (g * q).sum(axis=1, keepdims=True)),)", "lambda g: (q * (1 - q) * g,)"),
  "segno-della-sottrazione": ("riporta(-g, b.val.shape)", "riporta(g, b.val.shape)"),
  "pila-rovesciata": ("lambda g: tuple(g[:, t] for t in range(len(nodi)))", "lambda g: tuple(g[:, -t] for t in range(len(nodi)))"),
}
PAIRS = [
  ("broadcast-con-media", "lookup-senza-accumulo"),
  ("divisore-non-al-quadrato", "passo-sbagliato"),
  ("layernorm-senza-varianza", "softmax-solo-diagonale"),
  ("segno-della-sottrazione", "pila-rovesciata"),
  ("lookup-senza-accumulo", "segno-della-sottrazione"),
  ("pila-rovesciata", "layernorm-senza-varianza"),
]
