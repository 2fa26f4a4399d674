# esn_ridge.py
# Rede de eco (ESN) com leitura por regressao ridge, e o gradiente do erro de VALIDACAO
# em relacao aos hiperparametros do reservatorio (passa por dentro do solve!).
# Portado do meu script do Octave, por isso tudo em colunas: estados sao (H,B), amostras sao colunas.
#   ...1  = conjunto de treino (ajusta a leitura)
#   ...2  = conjunto de validacao (mede o erro)
import numpy as np

PEN = 0.03     # penalidade nos pesos de leitura


def esn(p, u1, y1, u2, y2, wo, querGrad):
    Win = p['Win']; W0 = p['W0']; b = p['b']; x0 = p['x0']
    T, F, B1 = u1.shape
    B2 = u2.shape[2]
    H = W0.shape[0]
    O = y1.shape[1]

    # --- reservatorio efetivo
    nrm = np.sqrt(np.sum(W0 ** 2))
    W = p['rho'][0] * W0 / nrm
    lk = 1 / (1 + np.exp(-p['alpha']))      # vazamento por neuronio (H,1)
    lam = np.exp(p['loglam'][0])

    # --- roda treino
    x1 = np.zeros((T + 1, H, B1)); a1 = np.zeros((T, H, B1))
    x1[0] = x0 @ np.ones((1, B1))
    for t in range(T):
        a1[t] = np.tanh(Win @ u1[t] + W @ x1[t] + b)
        x1[t + 1] = (1 - lk) * x1[t] + lk * a1[t]
    # --- roda validacao (igual, copiado)
    x2 = np.zeros((T + 1, H, B2)); a2 = np.zeros((T, H, B2))
    x2[0] = x0 @ np.ones((1, B2))
    for t in range(T):
        a2[t] = np.tanh(Win @ u2[t] + W @ x2[t] + b)
        x2[t + 1] = (1 - lk) * x2[t] + lk * a2[t]

    # --- matrizes de atributos [1; u; x; x.^2], sem o transiente (washout)
    n1 = (T - wo) * B1
    n2 = (T - wo) * B2
    M = 1 + F + H + H
    X1 = np.hstack([np.vstack([np.ones((1, B1)), u1[t], x1[t + 1], x1[t + 1] ** 2]) for t in range(wo, T)])
    X2 = np.hstack([np.vstack([np.ones((1, B2)), u2[t], x2[t + 1], x2[t + 1] ** 2]) for t in range(wo, T)])
    Y1 = np.hstack([y1[t] for t in range(wo, T)])
    Y2 = np.hstack([y2[t] for t in range(wo, T)])

    # --- leitura: (X1 X1' + n1 lam D) S = X1 Y1'
    D = np.ones(M); D[0] = 0          # o bias nao e regularizado
    A = X1 @ X1.T + n1 * lam * np.diag(D)
    S = np.linalg.solve(A, X1 @ Y1.T)       # (M,O)

    E2 = S.T @ X2 - Y2
    r2 = np.sqrt(1 + E2 ** 2)
    J = np.sum(r2 - 1) / n2 + PEN * np.sum(S ** 2)
    if not querGrad:
        return J

    # =====================  volta  =====================
    gE2 = E2 / r2 / n2
    gS = X2 @ gE2.T + 2 * PEN * S
    gX2 = S @ gE2
    # A e simetrica entao o sistema adjunto e o mesmo
    G = np.linalg.solve(A, gS)
    gA = -G @ S.T
    gX1 = G @ Y1 + (gA + gA.T) @ X1
    gloglam = n1 * lam * np.sum(D * np.diag(gA))

    gWin = np.zeros_like(Win)
    gW = np.zeros_like(W)
    gb = np.zeros_like(b)
    glk = np.zeros_like(lk)
    gx0 = np.zeros_like(x0)

    # treino
    gx1 = np.zeros((H, B1))
    for t in range(T - 1, -1, -1):
        if t >= wo:
            c = (t - wo) * B1
            gx1 = gx1 + gX1[1 + F:1 + F + H, c:c + B1]
            gx1 = gx1 + 2 * x1[t + 1] * gX1[1 + F + H:, c:c + B1]
        glk += np.sum((a1[t] - x1[t]) * gx1, axis=1, keepdims=True)
        gz1 = lk * gx1 * (1 - a1[t] ** 2)
        gWin += gz1 @ u1[t].T
        gW += gz1 @ x1[t].T
        gb += np.sum(gz1, axis=1, keepdims=True)
        gx1 = (1 - lk) * gx1 + W.T @ gz1
    gx0 += np.sum(gx1, axis=1, keepdims=True)

    # validacao
    gx2 = np.zeros((H, B2))
    for t in range(T - 1, -1, -1):
        if t >= wo:
            c = (t - wo) * B2
            gx2 = gx2 + gX2[1 + F:1 + F + H, c:c + B2]
            gx2 = gx2 + 2 * x2[t + 1] * gX2[1 + F + H:, c:c + B2]
        glk += np.sum((a2[t] - x2[t]) * gx2, axis=1, keepdims=True)
        gz2 = lk * gx2 * (1 - a2[t] ** 2)
        gWin += gz2 @ u2[t].T
        gW += gz2 @ x2[t].T
        gb += np.sum(gz2, axis=1, keepdims=True)
        gx2 = (1 - lk) * gx2 + W.T @ gz2
    gx0 += np.sum(gx2, axis=1, keepdims=True)

    # parametros crus
    galpha = glk * lk * (1 - lk)
    proj = np.sum(gW * W0)
    grho = proj / nrm
    gW0 = p['rho'][0] / nrm * (gW - W0 * proj / nrm ** 2)
    return J, {'Win': gWin, 'W0': gW0, 'b': gb, 'x0': gx0, 'alpha': galpha,
               'rho': np.array([grho]), 'loglam': np.array([gloglam])}


def make(Target, rng, T=8, B=3, V=2, H=5, F=2, O=2):
    p = {}
    p['Win'] = rng.normal(size=(H, F)) * 0.9
    p['W0'] = rng.normal(size=(H, H))
    p['b'] = rng.normal(size=(H, 1)) * 0.4
    p['x0'] = rng.normal(size=(H, 1)) * 0.8
    p['alpha'] = rng.normal(size=(H, 1)) * 0.8 + 0.2
    p['rho'] = rng.uniform(1.5, 2.2, size=1)
    p['loglam'] = rng.uniform(-3.0, -2.0, size=1)
    wo = T // 4
    u1 = rng.normal(size=(T, F, B)); y1 = rng.normal(size=(T, O, B))
    u2 = rng.normal(size=(T, F, V)); y2 = rng.normal(size=(T, O, V))
    return Target(p,
                  lambda: float(esn(p, u1, y1, u2, y2, wo, False)),
                  lambda: esn(p, u1, y1, u2, y2, wo, True)[1])


BUGS = {
    'sinal-da-inversa': ("gA = -G @ S.T", "gA = G @ S.T"),
    'nao-simetrizado': ("gX1 = G @ Y1 + (gA + gA.T) @ X1", "gX1 = G @ Y1 + gA @ X1"),
    'lambda-sem-log': ("gloglam = n1 * lam * np.sum(", "gloglam = n1 * np.sum("),
    'quadrado-do-estado-velho': ("gx1 = gx1 + 2 * x1[t + 1] * gX1", "gx1 = gx1 + 2 * x1[t] * gX1"),
    'vazamento-com-estado-novo': ("glk += np.sum((a2[t] - x2[t]) * gx2", "glk += np.sum((a2[t] - x2[t + 1]) * gx2"),
    'sem-transposta-na-validacao': ("gx2 = (1 - lk) * gx2 + W.T @ gz2", "gx2 = (1 - lk) * gx2 + W @ gz2"),
    'norma-constante': ("gW0 = p['rho'][0] / nrm * (gW - W0 * proj / nrm ** 2)", "gW0 = p['rho'][0] / nrm * gW"),
    'x0-sobrescrito': ("gx0 += np.sum(gx2,", "gx0 = np.sum(gx2,"),
}
PAIRS = [
    ('sinal-da-inversa', 'x0-sobrescrito'),
    ('nao-simetrizado', 'lambda-sem-log'),
    ('quadrado-do-estado-velho', 'sem-transposta-na-validacao'),
    ('vazamento-com-estado-novo', 'x0-sobrescrito'),
    ('lambda-sem-log', 'sem-transposta-na-validacao'),
    ('norma-constante', 'vazamento-com-estado-novo'),
]
