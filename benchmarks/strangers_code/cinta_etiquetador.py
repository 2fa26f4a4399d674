# cinta_etiquetador.py
# Mini-autograd con una cinta (a la micrograd, pero con matrices) + etiquetador bidireccional.
# La celda es una MGU (una sola puerta).  Las frases van ordenadas por longitud, de mayor a menor,
# y en cada paso solo quedan vivas las primeras n (como pack_padded_sequence).
# TODO: quitar los bucles de python algún día...
import numpy as np


class Nodo(object):
    __slots__ = ('v', 'g')

    def __init__(self, v):
        self.v = v
        self.g = np.zeros(v.shape)


def encoger(g, forma):
    """deshace el broadcasting de numpy"""
    while g.ndim > len(forma):
        g = g.sum(0)
    for eje, tam in enumerate(forma):
        if tam == 1 and g.shape[eje] != 1:
            g = g.sum(eje, keepdims=True)
    return g


class Cinta(object):
    def __init__(self):
        self.pasos = []

    def _nuevo(self, v, atras):
        r = Nodo(v)
        self.pasos.append((r, atras))
        return r

    # ---------- operaciones ----------
    def suma(self, a, b):
        def atras(g):
            a.g += encoger(g, a.v.shape)
            b.g += encoger(g, b.v.shape)
        return self._nuevo(a.v + b.v, atras)

    def por(self, a, b):
        def atras(g):
            a.g += encoger(g * b.v, a.v.shape)
            b.g += encoger(g * a.v, b.v.shape)
        return self._nuevo(a.v * b.v, atras)

    def mat(self, a, b):
        def atras(g):
            a.g += g @ b.v.T
            b.g += a.v.T @ g
        return self._nuevo(a.v @ b.v, atras)

    def tanh(self, a):
        y = np.tanh(a.v)

        def atras(g):
            a.g += g * (1 - y * y)
        return self._nuevo(y, atras)

    def sigma(self, a):
        y = 1 / (1 + np.exp(-a.v))

        def atras(g):
            a.g += g * y * (1 - y)
        return self._nuevo(y, atras)

    def mezcla(self, f, nuevo, viejo):
        # f * nuevo + (1 - f) * viejo, de una vez: ahorra tres nodos por paso
        def atras(g):
            f.g += g * (nuevo.v - viejo.v)
            nuevo.g += g * f.v
            viejo.g += g * (1 - f.v)
        return self._nuevo(f.v * nuevo.v + (1 - f.v) * viejo.v, atras)

    def filas(self, tabla, idx):
        # ojo: idx puede tener repetidos
        def atras(g):
            np.add.at(tabla.g, idx, g)
        return self._nuevo(tabla.v[idx], atras)

    def primeras(self, a, n):
        if n == len(a.v):
            return a

        def atras(g):
            a.g[:n] += g
        return self._nuevo(a.v[:n], atras)

    def apilar(self, lista):
        cortes = np.cumsum([len(x.v) for x in lista])

        def atras(g):
            for x, fin in zip(lista, cortes):
                x.g += g[fin - len(x.v):fin]
        return self._nuevo(np.concatenate([x.v for x in lista], 0), atras)

    def pegar(self, a, b):
        k = a.v.shape[1]

        def atras(g):
            a.g += g[:, :k]
            b.g += g[:, k:]
        return self._nuevo(np.concatenate((a.v, b.v), axis=1), atras)

    def entropia(self, puntos, oro, pesos):
        # media ponderada de -log p(oro)
        m = puntos.v.max(1, keepdims=True)
        e = np.exp(puntos.v - m)
        Z = e.sum(1, keepdims=True)
        quien = np.arange(len(oro))
        logp = puntos.v[quien, oro] - m[:, 0] - np.log(Z[:, 0])

        def atras(g):
            d = e / Z
            d[quien, oro] -= 1
            puntos.g += g * d * (pesos / pesos.sum())[:, None]
        return self._nuevo(-(pesos * logp).sum() / pesos.sum(), atras)

    # ---------- marcha atrás ----------
    def rebobinar(self, final):
        final.g = np.ones(())
        for nodo, atras in self.pasos[::-1]:
            atras(nodo.g)


def celda(c, W, lado, x, h):
    """MGU:  f = s(xA + hB + b) ;  n = tanh(xC + (f*h)D + d) ;  h' = f*n + (1-f)*h"""
    f = c.sigma(c.suma(c.suma(c.mat(x, W[lado + '.A']), c.mat(h, W[lado + '.B'])), W[lado + '.b']))
    n = c.tanh(c.suma(c.suma(c.mat(x, W[lado + '.C']), c.mat(c.por(f, h), W[lado + '.D'])), W[lado + '.d']))
    return c.mezcla(f, n, h)


def modelo(pesos, frases, largos, tags):
    orden = np.argsort(-largos, kind='stable')
    fr, la, ta = frases[orden], largos[orden], tags[orden]
    T = la[0]
    vivos = [int((la > t).sum()) for t in range(T)]
    desde = np.concatenate(([0], np.cumsum(vivos)))
    # (i, p) de cada palabra de verdad, sin relleno
    i, p = np.nonzero(np.arange(T)[None] < la[:, None])

    c = Cinta()
    W = {k: Nodo(v) for k, v in pesos.items()}
    lados = []
    for lado in ('ida', 'vuelta'):
        h = c.filas(W[lado + '.h0'], np.zeros(len(la), int))
        salidas = []
        for t in range(T):
            n = vivos[t]
            donde = np.full(n, t) if lado == 'ida' else la[:n] - 1 - t
            x = c.filas(W['emb'], fr[np.arange(n), donde])
            h = celda(c, W, lado, x, c.primeras(h, n))
            salidas.append(h)
        paso = p if lado == 'ida' else la[i] - 1 - p
        lados.append(c.filas(c.apilar(salidas), desde[paso] + i))
    ambos = c.por(c.pegar(*lados), W['escala'])
    puntos = c.suma(c.mat(ambos, W['V']), W['v'])
    # bigrama: la etiqueta (buena) anterior, la fila 0 es el principio de frase
    previa = np.where(p > 0, ta[i, p - 1] + 1, 0)
    puntos = c.suma(puntos, c.filas(W['trans'], previa))
    oro = ta[i, p]
    return c, W, c.entropia(puntos, oro, 1.0 + 0.5 * (oro % 2))


def make(Target, rng, T=5, B=4, H=4, E=3, vocab=6, etiquetas=3):
    n = rng.normal
    P = {'emb': n(0, 1, (vocab, E)), 'trans': n(0, 1, (etiquetas + 1, etiquetas)),
         'escala': n(1, .5, 2 * H), 'V': n(0, .9, (2 * H, etiquetas)), 'v': n(0, .3, (1, etiquetas))}
    for lado in ('ida', 'vuelta'):
        P[lado + '.h0'] = n(0, .7, (1, H))
        for letra, forma in zip('ABbCDd', [(E, H), (H, H), (H,), (E, H), (H, H), (H,)]):
            P[lado + '.' + letra] = n(0, .9, forma)
    frases = rng.integers(0, vocab, (B, T))
    largos = rng.integers(1, T + 1, B)
    largos[-1] = T
    largos[0] = max(1, T - 2)
    tags = rng.integers(0, etiquetas, (B, T))

    def loss():
        return float(modelo(P, frases, largos, tags)[2].v)

    def grads():
        c, W, final = modelo(P, frases, largos, tags)
        c.rebobinar(final)
        return {k: nodo.g for k, nodo in W.items()}

    return Target(P, loss, grads)


BUGS = {
    "por-mismo-operando": ("b.g += encoger(g * a.v, b.v.shape)", "b.g += encoger(g * b.v, b.v.shape)"),
    "mat-asigna-en-vez-de-acumular": ("b.g += a.v.T @ g", "b.g = a.v.T @ g"),
    "tanh-del-valor-de-entrada": ("a.g += g * (1 - y * y)", "a.g += g * (1 - a.v * a.v)"),
    "mezcla-puerta-sin-lo-viejo": ("f.g += g * (nuevo.v - viejo.v)", "f.g += g * nuevo.v"),
    "indices-repetidos-perdidos": ("np.add.at(tabla.g, idx, g)", "tabla.g[idx] += g"),
    "primeras-son-ultimas": ("a.g[:n] += g", "a.g[-n:] += g"),
    "entropia-entre-numero-de-palabras": ("puntos.g += g * d * (pesos / pesos.sum())[:, None]", "puntos.g += g * d * (pesos / len(pesos))[:, None]"),
    "pegar-columnas-finales-mal": ("b.g += g[:, k:]", "b.g += g[:, :k]"),
}
PAIRS = [
    ("por-mismo-operando", "primeras-son-ultimas"),
    ("mat-asigna-en-vez-de-acumular", "indices-repetidos-perdidos"),
    ("tanh-del-valor-de-entrada", "pegar-columnas-finales-mal"),
    ("mezcla-puerta-sin-lo-viejo", "entropia-entre-numero-de-palabras"),
    ("indices-repetidos-perdidos", "tanh-del-valor-de-entrada"),
    ("primeras-son-ultimas", "mezcla-puerta-sin-lo-viejo"),
]
