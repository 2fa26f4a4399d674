# -*- coding: utf-8 -*-
# FILTRE SEMI-MARKOVIEN A CONTEXTE RECURRENT  (tout en log)
#
#   etat cache (k, d) : regime k, age d = 0..ND-1 ; loi de duree explicite DUR(k,.)
#   contexte   C(t) = tanh(C(t-1) V + Y(t-1) U + B)     -- ne voit que le passe
#   emission   Y(t) | k ~ N( MU(k) + C(t) G(:,k,:), exp(LS(k))^2 )
#   transition en fin de regime : softmax_j ( A(k,j) + C(t) Q(:,j) )
#
# Le code adjoint est ecrit instruction par instruction, a l'envers, facon Tapenade :
# la variable adjointe de X s'appelle XB.
import numpy as np

LOG2PI = np.log(2 * np.pi)
RIDGE = 0.03


def LSE(x, axis):
    m = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(m, axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def HASARD(DUR):
    """queue, log-hasard et log-survie a partir de la loi de duree (non normalisee)"""
    ND = DUR.shape[1]
    QU = np.empty_like(DUR)
    QU[:, ND-1] = DUR[:, ND-1]
    for d in range(ND-2, -1, -1):
        QU[:, d] = np.logaddexp(DUR[:, d], QU[:, d+1])
    return QU, DUR - QU, QU[:, 1:] - QU[:, :-1]


def HASARD_B(DUR, QU, LHB, LSURVB):
    ND = DUR.shape[1]
    DURB = LHB.copy()
    QUB = -LHB
    QUB[:, 1:] += LSURVB
    QUB[:, :-1] -= LSURVB
    for d in range(0, ND-1):
        DURB[:, d] += QUB[:, d] * np.exp(DUR[:, d] - QU[:, d])
        QUB[:, d+1] += QUB[:, d] * np.exp(QU[:, d+1] - QU[:, d])
    DURB[:, ND-1] += QUB[:, ND-1]
    return DURB


def FILTRE(P, Y, LON):
    NB, NT, NF = Y.shape
    NK, ND = P['DUR'].shape
    NC = P['V'].shape[0]
    R = dict(C=np.zeros((NT+1, NB, NC)), RES=np.zeros((NT, NB, NK, NF)), AL=np.zeros((NT+1, NB, NK, ND)),
             NEW=np.zeros((NT, NB, NK, ND)), LEAVE=np.zeros((NT, NB, NK)), LP=np.zeros((NT, NB, NK, NK)),
             ENTER=np.zeros((NT, NB, NK)), CST=np.zeros((NT, NB)), M=np.zeros((NT, NB)))
    R['QU'], R['LH'], LSURV = HASARD(P['DUR'])
    INV = np.exp(-P['LS'])
    R['C'][0] = P['C0']
    R['AL'][0] = P['PI'] - LSE(P['PI'].ravel(), 0)
    for t in range(NT):
        YP = Y[:, t-1] if t > 0 else np.zeros((NB, NF))
        M = R['M'][t] = (t < LON) * 1.0
        C = R['C'][t+1] = np.tanh(R['C'][t] @ P['V'] + YP @ P['U'] + P['B'])
        # emission
        MEAN = P['MU'] + np.einsum('bc,ckf->bkf', C, P['G'])
        RES = R['RES'][t] = (Y[:, t, None, :] - MEAN) * INV
        EM = np.sum(-0.5 * RES**2 - P['LS'] - 0.5 * LOG2PI, axis=2)
        # transition
        LOGIT = P['A'][None] + (C @ P['Q'])[:, None, :]
        LP = R['LP'][t] = LOGIT - LSE(LOGIT, 2)[:, :, None]
        AL = R['AL'][t]
        LEAVE = R['LEAVE'][t] = LSE(AL + R['LH'], 2)
        ENTER = R['ENTER'][t] = LSE(LEAVE[:, :, None] + LP, 1)
        NEW = R['NEW'][t]
        NEW[:, :, 0] = ENTER
        NEW[:, :, 1:] = AL[:, :, :-1] + LSURV
        NEW += EM[:, :, None]
        # normalisation
        CST = R['CST'][t] = LSE(NEW.reshape(NB, NK*ND), 1)
        NORM = NEW - CST[:, None, None]
        R['AL'][t+1] = np.where(M[:, None, None] > 0, NORM, AL)
    LL = np.sum(R['M'] * R['CST'])
    # petit terme terminal : age moyen a la fin, pour que le dernier filtre compte aussi
    AGE = np.einsum('bkd,d->b', np.exp(R['AL'][NT]), np.arange(1.0, ND+1))
    OBJ = -LL / np.sum(LON) + 0.1 * np.mean(AGE**2) + 0.5 * RIDGE * np.sum(P['G']**2)
    R['AGE'] = AGE
    return OBJ, R


def FILTRE_B(P, Y, LON, R):
    NB, NT, NF = Y.shape
    NK, ND = P['DUR'].shape
    G = {n: np.zeros(P[n].shape) for n in P}
    LHB = np.zeros((NK, ND)); LSURVB = np.zeros((NK, ND-1))
    INV = np.exp(-P['LS'])

    G['G'] += RIDGE * P['G']
    AGEB = 0.2 * R['AGE'] / NB
    ALB = AGEB[:, None, None] * np.arange(1.0, ND+1) * np.exp(R['AL'][NT])
    CB = np.zeros_like(R['C'][0])
    for t in range(NT-1, -1, -1):
        YP = Y[:, t-1] if t > 0 else np.zeros((NB, NF))
        M, C, RES, LP, NEW = R['M'][t], R['C'][t+1], R['RES'][t], R['LP'][t], R['NEW'][t]
        # normalisation
        NORMB = M[:, None, None] * ALB
        ALB = (1 - M)[:, None, None] * ALB
        CSTB = -M / np.sum(LON) - NORMB.sum(axis=(1, 2))
        NEWB = NORMB + CSTB[:, None, None] * np.exp(NEW - R['CST'][t][:, None, None])
        # vieillissement et entree
        EMB = NEWB.sum(axis=2)
        ALB[:, :, :-1] += NEWB[:, :, 1:]
        LSURVB += NEWB[:, :, 1:].sum(axis=0)
        ENTERB = NEWB[:, :, 0]
        POST = np.exp(R['LEAVE'][t][:, :, None] + LP - R['ENTER'][t][:, None, :])
        LPB = ENTERB[:, None, :] * POST
        LEAVEB = LPB.sum(axis=2)
        SORT = LEAVEB[:, :, None] * np.exp(R['AL'][t] + R['LH'] - R['LEAVE'][t][:, :, None])
        ALB += SORT
        LHB += SORT.sum(axis=0)
        # transition
        LOGITB = LPB - np.exp(LP) * LPB.sum(axis=2, keepdims=True)
        G['A'] += LOGITB.sum(axis=0)
        SB = LOGITB.sum(axis=1)
        G['Q'] += C.T @ SB
        CB = CB + SB @ P['Q'].T
        # emission
        RESB = -RES * EMB[:, :, None]
        G['LS'] -= np.sum(EMB, axis=0)[:, None] + np.sum(RESB * RES, axis=0)
        MEANB = -RESB * INV
        G['MU'] += MEANB.sum(axis=0)
        G['G'] += np.einsum('bc,bkf->ckf', C, MEANB)
        CB = CB + np.einsum('bkf,ckf->bc', MEANB, P['G'])
        # contexte
        ZB = CB * (1 - C**2)
        G['V'] += R['C'][t].T @ ZB
        G['U'] += YP.T @ ZB
        G['B'] += ZB.sum(axis=0)
        CB = ZB @ P['V'].T
    G['C0'] += CB.sum(axis=0)
    PIB = ALB.sum(axis=0)
    G['PI'] += PIB - np.exp(R['AL'][0][0]) * PIB.sum()
    G['DUR'] += HASARD_B(P['DUR'], R['QU'], LHB, LSURVB)
    return G


def make(Target, rng, T=6, B=3, NK=3, ND=4, NC=3, NF=2):
    n = rng.standard_normal
    P = {'V': 0.8*n((NC, NC)), 'U': 0.8*n((NF, NC)), 'B': 0.4*n(NC), 'C0': 0.6*n(NC),
         'MU': 1.0*n((NK, NF)), 'G': 0.7*n((NC, NK, NF)), 'LS': 0.1 + 0.35*n((NK, NF)),
         'A': 0.9*n((NK, NK)), 'Q': 0.9*n((NC, NK)), 'DUR': 0.8*n((NK, ND)), 'PI': 0.8*n((NK, ND))}
    Y = np.cumsum(0.8*n((B, T, NF)), axis=1)
    LON = rng.integers((T+1)//2, T+1, B)
    LON[0] = T
    LON[-1] = max(1, T-2)

    def loss():
        return float(FILTRE(P, Y, LON)[0])

    def grads():
        return FILTRE_B(P, Y, LON, FILTRE(P, Y, LON)[1])

    return Target(P, loss, grads)


BUGS = {
    "duration-tail-weight-lost": ("QUB[:, d+1] += QUB[:, d] * np.exp(QU[:, d+1] - QU[:, d])", "QUB[:, d+1] += QUB[:, d]"),
    "ageing-slice-off-by-one": ("ALB[:, :, :-1] += NEWB[:, :, 1:]", "ALB[:, :, :-1] += NEWB[:, :, :-1]"),
    "leave-summed-over-origin": ("LEAVEB = LPB.sum(axis=2)", "LEAVEB = LPB.sum(axis=1)"),
    "logsoftmax-sum-wrong-axis": ("np.exp(LP) * LPB.sum(axis=2, keepdims=True)", "np.exp(LP) * LPB.sum(axis=1, keepdims=True)"),
    "sigma-residual-not-squared": ("np.sum(RESB * RES, axis=0)", "np.sum(RESB, axis=0)"),
    "ridge-overwritten-by-data": ("G['G'] += np.einsum('bc,bkf->ckf', C, MEANB)", "G['G'] = np.einsum('bc,bkf->ckf', C, MEANB)"),
    "context-matrix-not-transposed": ("CB = ZB @ P['V'].T", "CB = ZB @ P['V']"),
    "finished-series-mask-forgotten": ("ALB = (1 - M)[:, None, None] * ALB", "ALB = np.zeros_like(ALB)"),
}
PAIRS = [
    ("duration-tail-weight-lost", "context-matrix-not-transposed"),
    ("ageing-slice-off-by-one", "sigma-residual-not-squared"),
    ("leave-summed-over-origin", "ridge-overwritten-by-data"),
    ("logsoftmax-sum-wrong-axis", "finished-series-mask-forgotten"),
    ("finished-series-mask-forgotten", "duration-tail-weight-lost"),
    ("context-matrix-not-transposed", "ridge-overwritten-by-data"),
]
