"""Bidirectional minimal gated unit with layer-normalised gate; written by a hand used to Fortran.

    F  = SIGMOID(GF .* LN(WF X + UF H) + BF)
    HH = TANH(WH X + UH (F .* H) + BH)
    H' = (1 - F) .* H + F .* HH           (only where the column is valid, otherwise H' = H)
The last index of every weight is the direction (0 runs forward in time, 1 backward). Columns are samples.
Merged state M = (HF + HB)/2 + HF .* HB, then softmax over the classes at every valid step.
All work arrays are allocated once, HS(H, B, T+1, 2) counts the steps in the order in which its direction walks.
"""
import numpy as np

EPS = 1.0e-2


def LNFWD(A):
    AC = A - A.sum(0) / A.shape[0]
    RS = 1.0 / np.sqrt((AC * AC).sum(0) / A.shape[0] + EPS)
    return AC * RS, RS


def LNBWD(DN, AN, RS):
    N = AN.shape[0]
    S1 = DN.sum(0) / N
    S2 = (DN * AN).sum(0) / N
    return RS * (DN - S1 - AN * S2)


class BIMGU:
    def __init__(self, RNG, NT, NB, ND, NH, NC):
        R = lambda *S: 0.7 * RNG.standard_normal(S)
        self.DIMS = NT, NB, ND, NH, NC
        self.PAR = dict(WF=R(NH, ND, 2), UF=R(NH, NH, 2), GF=1.0 + R(NH, 2), BF=R(NH, 2), WH=R(NH, ND, 2), UH=R(NH, NH, 2),
                        BH=R(NH, 2), H0=R(NH, 2), V=R(NC, NH), C=R(NC), X=R(ND, NB, NT))
        LENGTH = np.array([max(1, NT - J) for J in range(NB)])
        self.VALID = (np.arange(NT)[None, :] < LENGTH[:, None]).astype(float)          # (B, T)
        self.ONEHOT = np.zeros((NC, NB, NT))
        LABEL = RNG.integers(0, NC, (NB, NT))
        for T in range(NT):
            for J in range(NB):
                self.ONEHOT[LABEL[J, T], J, T] = 1.0
        self.HS = np.zeros((NH, NB, NT + 1, 2), order="F")
        self.F, self.HH, self.AN = (np.zeros((NH, NB, NT, 2), order="F") for _ in range(3))
        self.RS = np.zeros((NB, NT, 2), order="F")
        self.PROB = np.zeros((NC, NB, NT), order="F")

    def SWEEP(self, I):
        NT, P = self.DIMS[0], self.PAR
        self.HS[:, :, 0, I] = P["H0"][:, I, None]
        for K in range(NT):
            T = K if I == 0 else NT - 1 - K
            XT, HP, MASK = P["X"][:, :, T], self.HS[:, :, K, I], self.VALID[:, T]
            self.AN[:, :, K, I], self.RS[:, K, I] = LNFWD(P["WF"][:, :, I] @ XT + P["UF"][:, :, I] @ HP)
            F = 1.0 / (1.0 + np.exp(-(P["GF"][:, I, None] * self.AN[:, :, K, I] + P["BF"][:, I, None])))
            HH = np.tanh(P["WH"][:, :, I] @ XT + P["UH"][:, :, I] @ (F * HP) + P["BH"][:, I, None])
            self.F[:, :, K, I], self.HH[:, :, K, I] = F, HH
            self.HS[:, :, K + 1, I] = MASK * ((1.0 - F) * HP + F * HH) + (1.0 - MASK) * HP

    def LOSS(self):
        NT, P, TOTAL = self.DIMS[0], self.PAR, 0.0
        self.SWEEP(0)
        self.SWEEP(1)
        for T in range(NT):
            HF, HB = self.HS[:, :, T + 1, 0], self.HS[:, :, NT - T, 1]
            A = P["V"] @ (0.5 * (HF + HB) + HF * HB) + P["C"][:, None]
            A = np.exp(A - A.max(0))
            self.PROB[:, :, T] = A / A.sum(0)
            TOTAL -= (self.VALID[:, T] * np.log((self.PROB[:, :, T] * self.ONEHOT[:, :, T]).sum(0))).sum()
        return float(TOTAL / self.VALID.sum())

    def GRADS(self):
        self.LOSS()
        NT, NB, ND, NH, NC = self.DIMS
        P, D = self.PAR, {NAME: np.zeros_like(A) for NAME, A in self.PAR.items()}
        GS = np.zeros_like(self.HS)
        for T in range(NT):
            HF, HB = self.HS[:, :, T + 1, 0], self.HS[:, :, NT - T, 1]
            DY = (self.PROB[:, :, T] - self.ONEHOT[:, :, T]) * self.VALID[:, T] / self.VALID.sum()
            D["V"] += DY @ (0.5 * (HF + HB) + HF * HB).T
            D["C"] += DY.sum(1)
            DM = P["V"].T @ DY
            GS[:, :, T + 1, 0] += DM * (0.5 + HB)
            GS[:, :, NT - T, 1] += DM * (0.5 + HF)
        for I in range(2):
            DH = np.zeros((NH, NB))
            for K in range(NT - 1, -1, -1):
                T = K if I == 0 else NT - 1 - K
                XT, HP, MASK = P["X"][:, :, T], self.HS[:, :, K, I], self.VALID[:, T]
                F, HH = self.F[:, :, K, I], self.HH[:, :, K, I]
                DH = DH + GS[:, :, K + 1, I]
                DN = MASK * DH
                DHP = (1.0 - MASK) * DH + (1.0 - F) * DN
                # candidate
                DA = DN * F * (1.0 - HH ** 2)
                D["WH"][:, :, I] += DA @ XT.T
                D["UH"][:, :, I] += DA @ (F * HP).T
                D["BH"][:, I] += DA.sum(1)
                DFH = P["UH"][:, :, I].T @ DA
                DHP += F * DFH
                # gate
                DG = (DN * (HH - HP) + DFH * HP) * F * (1.0 - F)
                D["GF"][:, I] += (DG * self.AN[:, :, K, I]).sum(1)
                D["BF"][:, I] += DG.sum(1)
                DL = LNBWD(P["GF"][:, I, None] * DG, self.AN[:, :, K, I], self.RS[:, K, I])
                D["WF"][:, :, I] += DL @ XT.T
                D["UF"][:, :, I] += DL @ HP.T
                DHP += P["UF"][:, :, I].T @ DL
                D["X"][:, :, T] += P["WH"][:, :, I].T @ DA + P["WF"][:, :, I].T @ DL
                DH = DHP
            D["H0"][:, I] = DH.sum(1)
        return D


def make(Target, rng, T=4, B=3, D=2, H=3, C=3):
    NET = BIMGU(rng, T, B, D, H, C)
    return Target(NET.PAR, NET.LOSS, NET.GRADS)


BUGS = {
    "layer-norm-variance-term": ("return RS * (DN - S1 - AN * S2)", "return RS * (DN - S1)"),
    "layer-norm-mean-not-divided": ("S1 = DN.sum(0) / N", "S1 = DN.sum(0)"),
    "candidate-weights-see-ungated-state": ('D["UH"][:, :, I] += DA @ (F * HP).T', 'D["UH"][:, :, I] += DA @ HP.T'),
    "padded-columns-do-not-carry": ("DHP = (1.0 - MASK) * DH + (1.0 - F) * DN", "DHP = (1.0 - F) * DN"),
    "second-direction-overwrites-inputs": ('D["X"][:, :, T] += P["WH"]', 'D["X"][:, :, T] = P["WH"]'),
    "backward-state-slot-off-by-one": ("GS[:, :, NT - T, 1] += DM * (0.5 + HF)", "GS[:, :, NT - T - 1, 1] += DM * (0.5 + HF)"),
    "softmax-of-padding": ("* self.VALID[:, T] / self.VALID.sum()", "/ self.VALID.sum()"),
    "gate-weights-transposed-on-the-way-back": ('DHP += P["UF"][:, :, I].T @ DL', 'DHP += P["UF"][:, :, I] @ DL'),
}

PAIRS = [("layer-norm-variance-term", "backward-state-slot-off-by-one"), ("softmax-of-padding", "candidate-weights-see-ungated-state"),
         ("padded-columns-do-not-carry", "second-direction-overwrites-inputs")]
