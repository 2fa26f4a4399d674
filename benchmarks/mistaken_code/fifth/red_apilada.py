# red_apilada.py -- traduccion de mi red_apilada.m (Matlab) a Python
#
# Red de Elman con dos capas ocultas.  Cada columna es un ejemplo del lote.
#   h1(t) = tanh( Wx*x(t)  + R1*h1(t-1) + b1 )
#   h2(t) = tanh( W12*h1(t) + R2*h2(t-1) + b2 )
#   y(t)  = V1*h1(t) + V2*h2(t) + c              (las dos capas llegan a la salida)
# Error: 1/(2*N) * sum_t w(t) * |y(t) - d(t)|^2,  mas lambda/2 * |R1|^2 + lambda/2 * |R2|^2
import numpy as np

nx, n1, n2, ny = 2, 3, 3, 3
lam = 0.05


def propagar(par, X):
    """X: nx x N x T.  Los estados llevan un indice mas: H(:,:,0) es el estado inicial."""
    N, T = X.shape[1], X.shape[2]
    H1 = np.zeros((n1, N, T + 1))
    H2 = np.zeros((n2, N, T + 1))
    Y = np.zeros((ny, N, T))
    H1[:, :, 0] = par['h10'] @ np.ones((1, N))
    H2[:, :, 0] = par['h20'] @ np.ones((1, N))
    for t in range(1, T + 1):
        H1[:, :, t] = np.tanh(par['Wx'] @ X[:, :, t - 1] + par['R1'] @ H1[:, :, t - 1] + par['b1'])
        H2[:, :, t] = np.tanh(par['W12'] @ H1[:, :, t] + par['R2'] @ H2[:, :, t - 1] + par['b2'])
        Y[:, :, t - 1] = par['V1'] @ H1[:, :, t] + par['V2'] @ H2[:, :, t] + par['c']
    return H1, H2, Y


def costo(par, X, D, w):
    _, _, Y = propagar(par, X)
    N = X.shape[1]
    J = 0.5 / N * np.sum(w * (Y - D) ** 2)
    J = J + lam / 2 * np.sum(par['R1'] ** 2) + lam / 2 * np.sum(par['R2'] ** 2)
    return float(J)


def gradiente(par, X, D, w):
    H1, H2, Y = propagar(par, X)
    N, T = X.shape[1], X.shape[2]

    gWx = np.zeros((n1, nx))
    gR1 = lam * par['R1']
    gb1 = np.zeros((n1, 1))
    gW12 = np.zeros((n2, n1))
    gR2 = lam * par['R2']
    gb2 = np.zeros((n2, 1))
    gV1 = np.zeros((ny, n1))
    gV2 = np.zeros((ny, n2))
    gc = np.zeros((ny, 1))

    # deltas de las preactivaciones; la columna T+1 queda en cero
    D1 = np.zeros((n1, N, T + 2))
    D2 = np.zeros((n2, N, T + 2))

    for t in range(T, 0, -1):
        # salida
        e = w[t - 1] * (Y[:, :, t - 1] - D[:, :, t - 1]) / N
        gV1 += e @ H1[:, :, t].T
        gV2 += e @ H2[:, :, t].T
        gc += np.sum(e, axis=1, keepdims=True)

        # segunda capa
        s2 = par['V2'].T @ e + par['R2'].T @ D2[:, :, t + 1]
        D2[:, :, t] = s2 * (1 - H2[:, :, t] ** 2)
        gW12 += D2[:, :, t] @ H1[:, :, t].T
        gR2 += D2[:, :, t] @ H2[:, :, t - 1].T
        gb2 += np.sum(D2[:, :, t], axis=1, keepdims=True)

        # primera capa: salida directa, segunda capa y su propio futuro
        s1 = par['V1'].T @ e
        s1 = s1 + par['W12'].T @ D2[:, :, t]
        s1 = s1 + par['R1'].T @ D1[:, :, t + 1]
        D1[:, :, t] = s1 * (1 - H1[:, :, t] ** 2)
        gWx += D1[:, :, t] @ X[:, :, t - 1].T
        gR1 += D1[:, :, t] @ H1[:, :, t - 1].T
        gb1 += np.sum(D1[:, :, t], axis=1, keepdims=True)

    # estados iniciales (comunes a todo el lote)
    gh10 = np.sum(par['R1'].T @ D1[:, :, 1], axis=1, keepdims=True)
    gh20 = np.sum(par['R2'].T @ D2[:, :, 1], axis=1, keepdims=True)

    return dict(Wx=gWx, R1=gR1, b1=gb1, W12=gW12, R2=gR2, b2=gb2,
                V1=gV1, V2=gV2, c=gc, h10=gh10, h20=gh20)


def make(rng):
    tam = dict(Wx=(n1, nx), R1=(n1, n1), b1=(n1, 1), W12=(n2, n1), R2=(n2, n2), b2=(n2, 1),
               V1=(ny, n1), V2=(ny, n2), c=(ny, 1), h10=(n1, 1), h20=(n2, 1))
    par = {k: 0.7 * rng.standard_normal(s) for k, s in tam.items()}
    N, T = 4, 5
    X = rng.standard_normal((nx, N, T))
    D = rng.standard_normal((ny, N, T))
    w = np.linspace(0.5, 1.5, T)

    def loss():
        return costo(par, X, D, w)

    def grads():
        return gradiente(par, X, D, w)

    return par, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('missing 1/N', [57], [('(Y[:, :, t - 1] - D[:, :, t - 1])', '(Y[:, :, t - 1] - D[:, :, t - 1]) / N')]),
  ('delta of the other layer', [76], [('gb1 += np.sum(D2[:, :, t],', 'gb1 += np.sum(D1[:, :, t],')])],
 [('readout with the state before', [59], [('gV2 += e @ H2[:, :, t - 1].T', 'gV2 += e @ H2[:, :, t].T')]),
  ('overwritten rather than added', [72], [("s1 = par['R1'].T @", "s1 = s1 + par['R1'].T @")])]]
