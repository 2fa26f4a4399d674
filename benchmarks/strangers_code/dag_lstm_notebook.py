# -*- coding: utf-8 -*-
# # Aula 9 - LSTM em grafos (DAG-LSTM) na unha, só com NumPy
# Notebook exportado do Colab. Cada "frase" é um DAG: primeiro vêm as T folhas (palavras), depois T nós
# internos. Um nó interno junta DOIS filhos; o mesmo filho pode ser usado por vários pais (por isso é DAG e
# não árvore!). Cada nó é classificado (com label smoothing) e a frase inteira recebe uma nota (regressão)
# calculada com atenção sobre todos os nós.

# In[1]:
import numpy as np

SUAVIZ = 0.1      # label smoothing
PESO_NOTA = 0.5   # peso da regressão na perda

sig = lambda z: 1 / (1 + np.exp(-z))


# In[2]: parâmetros. Tudo mora no dicionário P
def cria_parametros(rng, V, D, H, K):
    P = {}
    P['E'] = rng.normal(0, 1.0, (V, D))           # embeddings
    P['Wc'] = rng.normal(0, 0.7, (D, H))          # folha -> célula
    P['bc'] = rng.normal(0, 0.3, H)
    P['Wo'] = rng.normal(0, 0.7, (D, H))          # folha -> porta de saída
    P['bo'] = rng.normal(0, 0.3, H)
    P['U'] = rng.normal(0, 0.8, (2 * H, 5 * H))   # [h_esq h_dir] -> [i fe fd o g]
    P['b'] = rng.normal(0, 0.4, 5 * H)
    P['tipo'] = rng.normal(0, 0.6, (2, 5 * H))    # viés extra para cada tipo de nó (E / OU)
    P['Wy'] = rng.normal(0, 0.9, (H, K))
    P['by'] = rng.normal(0, 0.3, K)
    P['q'] = rng.normal(0, 1.3, H)                # consulta da atenção
    P['wn'] = rng.normal(0, 1.0, H)
    P['bn'] = rng.normal(0, 0.3, 1)
    return P


# In[3]: dados de mentirinha
def cria_frases(rng, B, T, V, K):
    frases = []
    for _ in range(B):
        f = {}
        f['palavras'] = rng.integers(0, V, T)
        # filho da esquerda: o nó logo anterior;  da direita: qualquer um que já exista
        f['esq'] = [n - 1 for n in range(T, 2 * T)]
        f['dir'] = [int(rng.integers(0, n)) for n in range(T, 2 * T)]
        f['tipos'] = [(j + int(rng.integers(0, 2))) % 2 for j in range(T)]
        f['classe'] = rng.integers(0, K, 2 * T)
        f['nota'] = rng.normal(0, 2.0)
        frases.append(f)
    return frases


# In[4]: ida. Devolve a perda e um dicionário M ("memória") por frase
def ida(P, frases):
    H = len(P['wn'])
    K = len(P['by'])
    perda = 0.0
    memorias = []
    for f in frases:
        T = len(f['palavras'])
        N = 2 * T
        M = {'h': np.zeros((N, H)), 'c': np.zeros((N, H)), 'tc': np.zeros((N, H)), 'o': np.zeros((N, H)),
             'portas': {}}
        # --- folhas
        X = P['E'][f['palavras']]
        M['X'] = X
        M['c'][:T] = X @ P['Wc'] + P['bc']
        M['o'][:T] = sig(X @ P['Wo'] + P['bo'])
        M['tc'][:T] = np.tanh(M['c'][:T])
        M['h'][:T] = M['o'][:T] * M['tc'][:T]
        # --- nós internos, em ordem topológica
        for j in range(T):
            n = T + j
            e, d = f['esq'][j], f['dir'][j]
            hh = np.concatenate([M['h'][e], M['h'][d]])
            z = hh @ P['U'] + P['b'] + P['tipo'][f['tipos'][j]]
            i, fe, fd, o = sig(z[:H]), sig(z[H:2*H]), sig(z[2*H:3*H]), sig(z[3*H:4*H])
            g = np.tanh(z[4*H:])
            M['c'][n] = i * g + fe * M['c'][e] + fd * M['c'][d]
            M['tc'][n] = np.tanh(M['c'][n])
            M['o'][n] = o
            M['h'][n] = o * M['tc'][n]
            M['portas'][n] = (hh, i, fe, fd, g)
        # --- classificação de todos os nós
        s = M['h'] @ P['Wy'] + P['by']
        s = s - s.max(1, keepdims=True)
        logp = s - np.log(np.exp(s).sum(1, keepdims=True))
        alvo = np.full((N, K), SUAVIZ / K)
        alvo[np.arange(N), f['classe']] += 1 - SUAVIZ
        M['logp'], M['alvo'] = logp, alvo
        perda += -(alvo * logp).sum() / N
        # --- atenção + nota
        a = M['h'] @ P['q'] / np.sqrt(H)
        a = np.exp(a - a.max())
        a = a / a.sum()
        M['a'] = a
        M['resumo'] = a @ M['h']
        M['erro'] = M['resumo'] @ P['wn'] + P['bn'][0] - f['nota']
        perda += PESO_NOTA * M['erro'] ** 2
        memorias.append(M)
    return float(perda / len(frases)), memorias


# In[5]: volta. Mesma coisa de trás para frente. G tem as mesmas chaves de P
def volta(P, frases, memorias):
    H = len(P['wn'])
    G = {}
    for k in P:
        G[k] = np.zeros(P[k].shape)
    for f, M in zip(frases, memorias):
        T = len(f['palavras'])
        N = 2 * T
        peso = 1.0 / len(frases)
        h, c, tc = M['h'], M['c'], M['tc']
        # --- nota
        derro = peso * PESO_NOTA * 2 * M['erro']
        G['wn'] += derro * M['resumo']
        G['bn'] += derro
        dresumo = derro * P['wn']
        # --- atenção (softmax)
        a = M['a']
        da = h @ dresumo
        ds = a * (da - a @ da) / np.sqrt(H)
        G['q'] += ds @ h
        dh = np.outer(a, dresumo) + np.outer(ds, P['q'])
        # --- classificação
        dlog = (np.exp(M['logp']) - M['alvo']) * peso / N
        G['Wy'] += h.T @ dlog
        G['by'] += dlog.sum(0)
        dh += dlog @ P['Wy'].T
        # --- nós internos: do último para o primeiro. dh e dc vão acumulando o que os pais mandam
        dc = np.zeros((N, H))
        for j in reversed(range(T)):
            n = T + j
            e, d = f['esq'][j], f['dir'][j]
            hh, i, fe, fd, g = M['portas'][n]
            o = M['o'][n]
            do = dh[n] * tc[n]
            dcn = dc[n] + dh[n] * o * (1 - tc[n] ** 2)
            di = dcn * g
            dg = dcn * i
            dfe = dcn * c[e]
            dfd = dcn * c[d]
            dz = np.concatenate([di * i * (1 - i), dfe * fe * (1 - fe), dfd * fd * (1 - fd), do * o * (1 - o), dg * (1 - g ** 2)])
            G['U'] += np.outer(hh, dz)
            G['b'] += dz
            G['tipo'][f['tipos'][j]] += dz
            dhh = P['U'] @ dz
            dh[e] += dhh[:H]
            dh[d] += dhh[H:]
            dc[e] += dcn * fe
            dc[d] += dcn * fd
        # --- folhas (todas de uma vez)
        X = M['X']
        o = M['o'][:T]
        dof = dh[:T] * tc[:T] * o * (1 - o)
        dcf = dc[:T] + dh[:T] * o * (1 - tc[:T] ** 2)
        G['Wo'] += X.T @ dof
        G['bo'] += dof.sum(0)
        G['Wc'] += X.T @ dcf
        G['bc'] += dcf.sum(0)
        dX = dof @ P['Wo'].T + dcf @ P['Wc'].T
        # cuidado: palavra repetida! G['E'][idx] += dX perderia gradiente, tem que ser add.at
        np.add.at(G['E'], f['palavras'], dX)
    return G


# In[6]:
def make(Target, rng, T=5, B=3, H=4, D=3, V=6, K=3):
    P = cria_parametros(rng, V, D, H, K)
    frases = cria_frases(rng, B, T, V, K)

    def loss():
        return ida(P, frases)[0]

    def grads():
        _, memorias = ida(P, frases)
        return volta(P, frases, memorias)

    return Target(P, loss, grads)


BUGS = {
    'filho-direito-sobrescreve': ("dh[d] += dhh[H:]", "dh[d] = dhh[H:]"),
    'celula-dos-pais-esquecida': ("dcn = dc[n] + dh[n] * o * (1 - tc[n] ** 2)", "dcn = dh[n] * o * (1 - tc[n] ** 2)"),
    'porta-esquecer-trocada': ("dc[e] += dcn * fe", "dc[e] += dcn * fd"),
    'esquecer-direita-usa-celula-do-no': ("dfd = dcn * c[d]", "dfd = dcn * c[n]"),
    'softmax-atencao-sem-media': ("ds = a * (da - a @ da) / np.sqrt(H)", "ds = a * da / np.sqrt(H)"),
    'atencao-nao-volta-pelo-escore': ("dh = np.outer(a, dresumo) + np.outer(ds, P['q'])", "dh = np.outer(a, dresumo)"),
    'palavra-repetida-perdida': ("np.add.at(G['E'], f['palavras'], dX)", "G['E'][f['palavras']] = dX"),
    'tipo-do-no-errado': ("G['tipo'][f['tipos'][j]] += dz", "G['tipo'][f['tipos'][j - 1]] += dz"),
}
PAIRS = [
    ('filho-direito-sobrescreve', 'softmax-atencao-sem-media'),
    ('celula-dos-pais-esquecida', 'palavra-repetida-perdida'),
    ('porta-esquecer-trocada', 'esquecer-direita-usa-celula-do-no'),
    ('atencao-nao-volta-pelo-escore', 'tipo-do-no-errado'),
    ('esquecer-direita-usa-celula-do-no', 'palavra-repetida-perdida'),
    ('tipo-do-no-errado', 'porta-esquecer-trocada'),
]
