# GRU « reset after » (comme cuDNN), séquences de longueurs variables, traitées par fenêtres pour la mémoire.
# L'état passe d'une fenêtre à la suivante, et au retour le gradient aussi : ce n'est PAS une rétropropagation tronquée.
# Tout est en (temps, lot, dimension). Portes : r, z, n.
from dataclasses import dataclass, field

import numpy as np


def sigmoide(a):
    return 1.0 / (1.0 + np.exp(-a))


def derivee_sigmoide(valeur_activee):
    return valeur_activee * (1.0 - valeur_activee)


def derivee_tanh(pre_activation):
    # attention : celle-ci prend la pré-activation !
    return 1.0 / np.cosh(pre_activation) ** 2


@dataclass
class Reglages:
    fenetre: int = 2
    penalite: float = 0.02      # weight decay, pas sur les biais


@dataclass
class TraceDUnPas:
    entree: np.ndarray
    etat_avant: np.ndarray
    porte_r: np.ndarray
    porte_z: np.ndarray
    candidat: np.ndarray
    pre_candidat: np.ndarray
    cote_entree: np.ndarray
    cote_etat: np.ndarray
    present: np.ndarray


@dataclass
class Fenetre:
    debut: int
    fin: int
    traces: list = field(default_factory=list)
    etats: list = field(default_factory=list)


def avancer(poids, fen, sequences, masque, etat):
    """Une fenêtre vers l'avant ; rend l'état final."""
    taille = etat.shape[1]
    for t in range(fen.debut, fen.fin):
        gx = sequences[t] @ poids["W_entree"] + poids["b_entree"]
        gh = etat @ poids["W_etat"] + poids["b_etat"]
        r = sigmoide(gx[:, :taille] + gh[:, :taille])
        z = sigmoide(gx[:, taille:2 * taille] + gh[:, taille:2 * taille])
        pre = gx[:, 2 * taille:] + r * gh[:, 2 * taille:]
        n = np.tanh(pre)
        m = masque[t][:, None]
        nouveau = (1.0 - z) * n + z * etat
        fen.traces.append(TraceDUnPas(sequences[t], etat, r, z, n, pre, gx[:, 2 * taille:], gh[:, 2 * taille:], m))
        etat = m * nouveau + (1.0 - m) * etat
        fen.etats.append(etat)
    return etat


def reculer(poids, fen, d_sorties, d_etat):
    """Une fenêtre vers l'arrière. d_sorties : (fin - debut, lot, taille). Rend les gradients et ce qui part vers la fenêtre d'avant."""
    g = {nom: np.zeros_like(poids[nom]) for nom in ("W_entree", "W_etat", "b_entree", "b_etat")}
    d_seq = []
    for pas in range(len(fen.traces) - 1, -1, -1):
        tr = fen.traces[pas]
        d_total = d_etat + d_sorties[pas]
        d_nouveau = tr.present * d_total
        d_etat = (1.0 - tr.present) * d_total
        d_n = d_nouveau * (1.0 - tr.porte_z) * derivee_tanh(tr.pre_candidat)
        d_z = d_nouveau * (tr.etat_avant - tr.candidat) * derivee_sigmoide(tr.porte_z)
        d_r = d_n * tr.cote_etat * derivee_sigmoide(tr.porte_r)
        d_gx = np.concatenate([d_r, d_z, d_n], axis=1)
        d_gh = np.concatenate([d_r, d_z, d_n * tr.porte_r], axis=1)
        g["W_entree"] += tr.entree.T @ d_gx
        g["b_entree"] += np.sum(d_gx, axis=0)
        g["W_etat"] += tr.etat_avant.T @ d_gh
        g["b_etat"] += np.sum(d_gh, axis=0)
        d_etat += d_nouveau * tr.porte_z + d_gh @ poids["W_etat"].T
        d_seq.insert(0, d_gx @ poids["W_entree"].T)
    return g, d_seq, d_etat


class ModeleFenetre:
    def __init__(self, poids, reglages=None):
        self.poids = poids
        self.reglages = reglages or Reglages()

    def decouper(self, T):
        k = self.reglages.fenetre
        return [Fenetre(d, min(d + k, T)) for d in range(0, T, k)]

    def cout(self, sequences, masque, cibles):
        p = self.poids
        self.fenetres = self.decouper(len(sequences))
        etat = np.tile(p["etat_initial"], (sequences.shape[1], 1))
        for fen in self.fenetres:
            etat = avancer(p, fen, sequences, masque, etat)
        self.tous_les_etats = np.stack([e for fen in self.fenetres for e in fen.etats])
        self.ecart = (self.tous_les_etats @ p["W_sortie"] + p["b_sortie"] - cibles) * masque[:, :, None]
        attache = 0.5 * np.sum(self.ecart ** 2) / masque.sum()
        decroissance = sum(np.sum(p[nom] ** 2) for nom in p if nom.startswith("W_"))
        return float(attache + 0.5 * self.reglages.penalite * decroissance)

    def gradients(self, sequences, masque, cibles):
        self.cout(sequences, masque, cibles)
        p = self.poids
        total = {nom: np.zeros_like(valeur) for nom, valeur in p.items()}
        d_y = self.ecart / masque.sum()
        total["W_sortie"] += np.tensordot(self.tous_les_etats, d_y, axes=([0, 1], [0, 1]))
        total["b_sortie"] += d_y.sum(axis=(0, 1))
        d_sorties = d_y @ p["W_sortie"].T
        d_sequences = np.zeros_like(sequences)
        d_etat = np.zeros((sequences.shape[1], p["etat_initial"].size))
        for fen in self.fenetres[::-1]:
            g, d_seq, d_etat = reculer(p, fen, d_sorties[fen.debut:fen.fin], d_etat)
            for nom in g:
                total[nom] += g[nom]
            d_sequences[fen.debut:fen.fin] = d_seq
        total["etat_initial"] += d_etat.sum(axis=0)
        for nom in ("W_entree", "W_etat", "W_sortie"):
            total[nom] += self.reglages.penalite * p[nom]
        total["sequences"] = d_sequences
        return total


def make(Target, rng, T=5, B=3, D=2, H=3):
    tirage = lambda *forme: rng.normal(size=forme) * 0.8
    poids = dict(W_entree=tirage(D, 3 * H), W_etat=tirage(H, 3 * H), b_entree=tirage(3 * H), b_etat=tirage(3 * H), W_sortie=tirage(H, 2), b_sortie=tirage(2), etat_initial=tirage(H))
    longueurs = np.maximum(1, T - np.arange(B) % T)
    # remplissage à gauche : les phrases courtes commencent plus tard, l'état initial attend
    masque = (np.arange(T)[:, None] >= T - longueurs[None, :]).astype(float)
    sequences, cibles = tirage(T, B, D), tirage(T, B, 2)
    modele = ModeleFenetre(poids)
    return Target({**poids, "sequences": sequences}, lambda: modele.cout(sequences, masque, cibles), lambda: modele.gradients(sequences, masque, cibles))


BUGS = {
    "reset-factor-on-state-side": ("d_gh = np.concatenate([d_r, d_z, d_n * tr.porte_r], axis=1)", "d_gh = np.concatenate([d_r, d_z, d_n], axis=1)"),
    "truncated-at-windows": ("g, d_seq, d_etat = reculer(p, fen, d_sorties[fen.debut:fen.fin], d_etat)", "g, d_seq, _ = reculer(p, fen, d_sorties[fen.debut:fen.fin], d_etat)"),
    "padding-does-not-pass": ("d_etat += d_nouveau * tr.porte_z + d_gh", "d_etat = d_nouveau * tr.porte_z + d_gh"),
    "mean-over-padded-steps": ("d_y = self.ecart / masque.sum()", "d_y = self.ecart / masque.size"),
    "decay-forgotten-for-one": ('for nom in ("W_entree", "W_etat", "W_sortie"):', 'for nom in ("W_entree", "W_sortie"):'),
    "reset-sees-input-side": ("d_r = d_n * tr.cote_etat * derivee", "d_r = d_n * tr.cote_entree * derivee"),
    "tanh-slope-of-activated": ("derivee_tanh(tr.pre_candidat)", "derivee_tanh(tr.candidat)"),
    "input-gradients-appended": ('d_seq.insert(0, d_gx @ poids["W_entree"].T)', 'd_seq.append(d_gx @ poids["W_entree"].T)'),
}

PAIRS = [("reset-factor-on-state-side", "decay-forgotten-for-one")]
