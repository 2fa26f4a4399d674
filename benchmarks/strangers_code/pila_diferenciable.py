# Red recurrente con pila continua (Joulin y Mikolov, 2015).  Una secuencia tras otra, vectores de una dimension,
# diccionarios indexados por el instante.   acciones: a = softmax(A h) = (meter, sacar, nada)
#   h[t] = tanh(U x[t] + R h[t-1] + P s[t-1][:k])
#   s[t][0] = meter * sigma(D h[t]) + sacar * s[t-1][1] + nada * s[t-1][0]
#   s[t][i] = meter * s[t-1][i-1]   + sacar * s[t-1][i+1] + nada * s[t-1][i]        (por debajo del fondo hay `vacio`)
import numpy as np

MIRADA = 2      # cuantas celdas de la cima ve el controlador


def sigma(v):
    return 1.0 / (1.0 + np.exp(-v))


def softmax(v):
    e = np.exp(v - v.max())
    return e / e.sum()


class RedConPila(object):

    def __init__(self, azar, n_simbolos, n_oculto, alto):
        self.alto = alto
        m = lambda *forma: azar.normal(0, 0.8, forma)
        self.pesos = {'U': m(n_oculto, n_simbolos), 'R': m(n_oculto, n_oculto), 'P': m(n_oculto, MIRADA), 'A': m(3, n_oculto),
                      'D': m(n_oculto), 'V': m(n_simbolos, n_oculto), 'q': m(n_simbolos, MIRADA), 'b': m(n_oculto), 'vacio': np.array([-0.4])}

    def adelante(self, palabra):
        w, K = self.pesos, self.alto
        h, s, a, d, p = {-1: np.zeros(len(w['b']))}, {-1: np.full(K, w['vacio'][0])}, {}, {}, {}
        coste = 0.0
        for t in range(len(palabra) - 1):
            h[t] = np.tanh(w['U'][:, palabra[t]] + np.dot(w['R'], h[t - 1]) + np.dot(w['P'], s[t - 1][:MIRADA]) + w['b'])
            a[t] = softmax(np.dot(w['A'], h[t]))
            d[t] = sigma(np.dot(w['D'], h[t]))
            abajo = np.append(s[t - 1][1:], w['vacio'][0])
            arriba = np.append(d[t], s[t - 1][:-1])
            s[t] = a[t][0] * arriba + a[t][1] * abajo + a[t][2] * s[t - 1]
            p[t] = softmax(np.dot(w['V'], h[t]) + np.dot(w['q'], s[t][:MIRADA]))
            coste -= np.log(p[t][palabra[t + 1]])
        return coste, (h, s, a, d, p)

    def atras(self, palabra, memoria, g):
        w = self.pesos
        h, s, a, d, p = memoria
        dh_sig = np.zeros_like(h[-1])
        ds_sig = np.zeros_like(s[-1])
        for t in reversed(range(len(palabra) - 1)):
            # salida
            dy = p[t].copy()
            dy[palabra[t + 1]] -= 1
            g['V'] += np.outer(dy, h[t])
            g['q'] += np.outer(dy, s[t][:MIRADA])
            dh = dh_sig + np.dot(w['V'].T, dy)
            ds = ds_sig.copy()
            ds[:MIRADA] += np.dot(w['q'].T, dy)
            # la pila: tres mezclas de la pila anterior
            abajo = np.append(s[t - 1][1:], w['vacio'][0])
            arriba = np.append(d[t], s[t - 1][:-1])
            da = np.array([np.dot(ds, arriba), np.dot(ds, abajo), np.dot(ds, s[t - 1])])
            dd = a[t][0] * ds[0]
            ds_sig = a[t][2] * ds
            ds_sig[:-1] += a[t][0] * ds[1:]
            ds_sig[1:] += a[t][1] * ds[:-1]
            g['vacio'] += a[t][1] * ds[-1]
            # acciones y valor que se mete
            dz = a[t] * (da - np.dot(a[t], da))
            g['A'] += np.outer(dz, h[t])
            dh = dh + np.dot(w['A'].T, dz)
            dv = dd * d[t] * (1 - d[t])
            g['D'] += dv * h[t]
            dh = dh + dv * w['D']
            # controlador
            dpre = dh * (1 - h[t] ** 2)
            g['b'] += dpre
            g['U'][:, palabra[t]] += dpre
            g['R'] += np.outer(dpre, h[t - 1])
            g['P'] += np.outer(dpre, s[t - 1][:MIRADA])
            ds_sig[:MIRADA] += np.dot(w['P'].T, dpre)
            dh_sig = np.dot(w['R'].T, dpre)
        g['vacio'] += ds_sig.sum()

    def coste_medio(self, palabras):
        return sum(self.adelante(x)[0] for x in palabras) / len(palabras)

    def gradiente(self, palabras):
        total = {k: np.zeros_like(v) for k, v in self.pesos.items()}
        for x in palabras:
            _, memoria = self.adelante(x)
            self.atras(x, memoria, total)
        for k in total:
            total[k] /= len(palabras)
        return total


def make(Target, rng, T=4, B=2, V=3, H=3, K=3):
    if K < MIRADA or V < 2 or T < 2:
        raise ValueError('la pila es demasiado baja')
    red = RedConPila(rng, V, H, K)
    palabras = [rng.integers(0, V, T + 1 - (n % 2)) for n in range(B)]
    return Target(red.pesos, lambda: float(red.coste_medio(palabras)), lambda: red.gradiente(palabras))


BUGS = {
    "pila-inicial-vacia-olvidada": ("g['vacio'] += ds_sig.sum()", "pass"),
    "meter-desplaza-al-reves": ("ds_sig[:-1] += a[t][0] * ds[1:]", "ds_sig[1:] += a[t][0] * ds[:-1]"),
    "softmax-sin-media": ("dz = a[t] * (da - np.dot(a[t], da))", "dz = a[t] * (1 - a[t]) * da"),
    "pila-nueva-por-vieja": ("g['P'] += np.outer(dpre, s[t - 1][:MIRADA])", "g['P'] += np.outer(dpre, s[t][:MIRADA])"),
    "cima-mirada-no-devuelve": ("ds_sig[:MIRADA] += np.dot(w['P'].T, dpre)", "pass"),
    "media-olvidada": ("total[k] /= len(palabras)", "pass"),
    "columna-se-asigna": ("g['U'][:, palabra[t]] += dpre", "g['U'][:, palabra[t]] = dpre"),
    "mirada-de-una-celda": ("ds[:MIRADA] += np.dot(w['q'].T, dy)", "ds[:1] += np.dot(w['q'].T, dy)[:1]"),
}

PAIRS = [("meter-desplaza-al-reves", "media-olvidada"), ("pila-inicial-vacia-olvidada", "pila-nueva-por-vieja")]
