# ======================================================================
#  ODERNN.PY   -- uebersetzt aus ODERNN.F (Stand 14.3.), Unterprogramme
#                 heissen wie im Original, Indizes jetzt ab 0 statt ab 1
#
#  Zustand X(N,NB) laeuft zwischen den Messungen nach
#        dX/dt = TANH( A*[X;U;1] ) - EXP(G) .* X         (RK4, NSUB Schritte)
#  und springt bei einer Messung U:
#        X+ = X + Z .* (C - X),  [Z;C] aus  WG*[X;U;1]
#  Spalten = Messreihen.  Feld XT(N,NB,NT+1) haelt alle Zustaende.
# ======================================================================
import numpy as np


class COMMON:
    """ersetzt die COMMON-Bloecke; wird bei jedem Aufruf neu angelegt"""

    def __init__(C, N, NU, NB, NT, NSUB):
        C.N, C.NU, C.NB, C.NT, C.NSUB = N, NU, NB, NT, NSUB
        C.XT = np.zeros((N, NB, NT + 1), order='F')       # nach der Messung
        C.XV = np.zeros((N, NB, NT), order='F')           # vor der Messung
        C.ZT = np.zeros((N, NB, NT), order='F')
        C.CT = np.zeros((N, NB, NT), order='F')
        C.RES = np.zeros((NU, NB, NT), order='F')
        # Stuetzstellen und Steigungen der vier Stufen
        C.XS = np.zeros((N, NB, 4, NSUB, NT), order='F')
        C.KS = np.zeros((N, NB, 4, NSUB, NT), order='F')
        C.FT = np.zeros((N, NB, 4, NSUB, NT), order='F')  # tanh-Werte


def RAND(X, U):
    """[X;U;1]"""
    return np.vstack((X, U, np.ones((1, X.shape[1]))))


def RHS(PAR, X, U):
    F = np.tanh(PAR['A'] @ RAND(X, U))
    return F - np.exp(PAR['G']) * X, F


def RHSADJ(PAR, GRD, X, U, F, DK):
    """adjungierte rechte Seite: aus DK wird DX, GRD wird aufsummiert"""
    N = X.shape[0]
    DP = DK * (1.0 - F * F)
    GRD['A'] += DP @ RAND(X, U).T
    GRD['G'] -= np.exp(PAR['G']) * np.sum(DK * X, axis=1, keepdims=True)
    return PAR['A'][:, :N].T @ DP - np.exp(PAR['G']) * DK


def VORW(PAR, DAT, C):
    N, NT, NSUB = C.N, C.NT, C.NSUB
    C.XT[:, :, 0] = PAR['X0']
    U = np.zeros((C.NU, C.NB))                            # noch nichts gemessen
    FEHL = 0.0
    for J in range(NT):
        X = C.XT[:, :, J]
        H = DAT['DT'][J] * np.exp(PAR['TAU'][0]) / NSUB   # Schrittweite je Spalte
        for I in range(NSUB):
            XS, KS, FT = C.XS[:, :, :, I, J], C.KS[:, :, :, I, J], C.FT[:, :, :, I, J]
            XS[:, :, 0] = X
            KS[:, :, 0], FT[:, :, 0] = RHS(PAR, XS[:, :, 0], U)
            XS[:, :, 1] = X + 0.5 * H * KS[:, :, 0]
            KS[:, :, 1], FT[:, :, 1] = RHS(PAR, XS[:, :, 1], U)
            XS[:, :, 2] = X + 0.5 * H * KS[:, :, 1]
            KS[:, :, 2], FT[:, :, 2] = RHS(PAR, XS[:, :, 2], U)
            XS[:, :, 3] = X + H * KS[:, :, 2]
            KS[:, :, 3], FT[:, :, 3] = RHS(PAR, XS[:, :, 3], U)
            X = X + H / 6.0 * (KS[:, :, 0] + 2.0 * KS[:, :, 1] + 2.0 * KS[:, :, 2] + KS[:, :, 3])
        C.XV[:, :, J] = X
        # Vorhersage gegen Messung (nur wo gemessen wurde, M=1)
        M = DAT['M'][J]
        C.RES[:, :, J] = M * (PAR['WO'] @ np.vstack((X, np.ones((1, C.NB)))) - DAT['U'][:, :, J])
        FEHL += 0.5 * np.sum(C.RES[:, :, J] ** 2 / DAT['VAR'])
        # Sprung
        U = M * DAT['U'][:, :, J] + (1.0 - M) * U         # letzten Messwert halten
        PG = PAR['WG'] @ RAND(X, U)
        C.ZT[:, :, J] = 1.0 / (1.0 + np.exp(-PG[:N]))
        C.CT[:, :, J] = np.tanh(PG[N:])
        C.XT[:, :, J + 1] = X + M * C.ZT[:, :, J] * (C.CT[:, :, J] - X)
    return float(FEHL / np.sum(DAT['M']))


def RUECKW(PAR, DAT, C):
    N, NT, NSUB = C.N, C.NT, C.NSUB
    GRD = {}
    for NAME in PAR:
        GRD[NAME] = np.zeros(PAR[NAME].shape)
    # gehaltene Messwerte nochmals aufbauen, UH(:,:,J) = Wert VOR Messung J
    UH = np.zeros((C.NU, C.NB, NT + 1))
    for J in range(NT):
        UH[:, :, J + 1] = DAT['M'][J] * DAT['U'][:, :, J] + (1.0 - DAT['M'][J]) * UH[:, :, J]
    SM = np.sum(DAT['M'])
    DX = np.zeros((N, C.NB))
    for J in range(NT - 1, -1, -1):
        M, X = DAT['M'][J], C.XV[:, :, J]
        Z, CC = C.ZT[:, :, J], C.CT[:, :, J]
        # --- Sprung ---
        DZ = M * DX * (CC - X) * Z * (1.0 - Z)
        DC = M * DX * Z * (1.0 - CC ** 2)
        DPG = np.vstack((DZ, DC))
        GRD['WG'] += DPG @ RAND(X, UH[:, :, J + 1]).T
        DX = DX * (1.0 - M * Z)
        DX = DX + PAR['WG'][:, :N].T @ DPG
        # --- Vorhersage ---
        DR = M * C.RES[:, :, J] / DAT['VAR'] / SM
        GRD['WO'] += DR @ np.vstack((X, np.ones((1, C.NB)))).T
        DX = DX + PAR['WO'][:, :N].T @ DR
        # --- RK4 rueckwaerts ---
        U = UH[:, :, J]
        H = DAT['DT'][J] * np.exp(PAR['TAU'][0]) / NSUB
        DH = np.zeros(C.NB)
        for I in range(NSUB - 1, -1, -1):
            XS, KS, FT = C.XS[:, :, :, I, J], C.KS[:, :, :, I, J], C.FT[:, :, :, I, J]
            D4 = RHSADJ(PAR, GRD, XS[:, :, 3], U, FT[:, :, 3], H / 6.0 * DX)
            D3 = RHSADJ(PAR, GRD, XS[:, :, 2], U, FT[:, :, 2], H / 3.0 * DX + H * D4)
            D2 = RHSADJ(PAR, GRD, XS[:, :, 1], U, FT[:, :, 1], H / 3.0 * DX + 0.5 * H * D3)
            D1 = RHSADJ(PAR, GRD, XS[:, :, 0], U, FT[:, :, 0], H / 6.0 * DX + 0.5 * H * D2)
            # Ableitung nach der Schrittweite
            DH += np.sum(DX * (KS[:, :, 0] + 2.0 * (KS[:, :, 1] + KS[:, :, 2]) + KS[:, :, 3]), axis=0) / 6.0
            DH += np.sum(D4 * KS[:, :, 2], axis=0)
            DH += 0.5 * np.sum(D3 * KS[:, :, 1] + D2 * KS[:, :, 0], axis=0)
            DX = DX + D1 + D2 + D3 + D4
        GRD['TAU'] += np.sum(DH * H)
    GRD['X0'] += np.sum(DX, axis=1, keepdims=True)
    return GRD


def make(Target, rng, T=5, B=3, N=4, NU=2, NSUB=2):
    PAR = {
        'A': rng.normal(size=(N, N + NU + 1)) * 0.9,
        'G': rng.normal(size=(N, 1)) * 0.4 - 0.3,
        'TAU': rng.normal(size=1) * 0.2,
        'WG': rng.normal(size=(2 * N, N + NU + 1)) * 0.8,
        'WO': rng.normal(size=(NU, N + 1)) * 0.9,
        'X0': rng.normal(size=(N, 1)) * 0.8,
    }
    DAT = {'DT': rng.uniform(0.4, 1.4, size=(T, B)),
           'U': rng.normal(size=(NU, B, T)),
           'M': (rng.uniform(size=(T, B)) < 0.6).astype(float),
           'VAR': rng.uniform(0.5, 2.0, size=(NU, 1))}
    DAT['M'][0, 0] = 1.0
    DAT['M'][T - 1, :] = 1.0                              # am Ende wird immer gemessen
    DAT['M'][T // 2, B - 1] = 0.0 if T > 2 else 1.0

    def loss():
        return VORW(PAR, DAT, COMMON(N, NU, B, T, NSUB))

    def grads():
        C = COMMON(N, NU, B, T, NSUB)
        VORW(PAR, DAT, C)
        return RUECKW(PAR, DAT, C)

    return Target(PAR, loss, grads)


BUGS = {
    "stage3_weight_sixth": ("FT[:, :, 2], H / 3.0 * DX + H * D4)", "FT[:, :, 2], H / 6.0 * DX + H * D4)"),
    "half_step_lost_stage1": ("H / 6.0 * DX + 0.5 * H * D2)", "H / 6.0 * DX + H * D2)"),
    "stage2_at_wrong_point": ("D2 = RHSADJ(PAR, GRD, XS[:, :, 1], U,", "D2 = RHSADJ(PAR, GRD, XS[:, :, 0], U,"),
    "decay_sign": ("return PAR['A'][:, :N].T @ DP - np.exp(PAR['G']) * DK", "return PAR['A'][:, :N].T @ DP + np.exp(PAR['G']) * DK"),
    "mask_forgotten_in_carry": ("DX = DX * (1.0 - M * Z)", "DX = DX * (1.0 - Z)"),
    "old_measurement_in_jump": ("GRD['WG'] += DPG @ RAND(X, UH[:, :, J + 1]).T", "GRD['WG'] += DPG @ RAND(X, UH[:, :, J]).T"),
    "tau_chain_without_step": ("GRD['TAU'] += np.sum(DH * H)", "GRD['TAU'] += np.sum(DH)"),
    "variance_multiplied": ("DR = M * C.RES[:, :, J] / DAT['VAR'] / SM", "DR = M * C.RES[:, :, J] * DAT['VAR'] / SM"),
}
PAIRS = [
    ("stage3_weight_sixth", "old_measurement_in_jump"),
    ("half_step_lost_stage1", "tau_chain_without_step"),
    ("stage2_at_wrong_point", "mask_forgotten_in_carry"),
    ("decay_sign", "old_measurement_in_jump"),
    ("variance_multiplied", "tau_chain_without_step"),
    ("mask_forgotten_in_carry", "stage3_weight_sixth"),
]
