# -*- coding: utf-8 -*-
# MI-LSTM(乘性积分 LSTM, Wu et al. 2016),由 MATLAB 脚本 milstm.m 改写
# 所有变量都是全局变量,每一列是一个样本,最后一维是时间
#
#   预激活: alpha .* (W x) .* (U h) + beta1 .* (U h) + beta2 .* (W x) + b
#   门的顺序: [输入门; 遗忘门; 输出门; 候选]
#   损失: 所有时刻的均方误差的一半
import numpy as np

# ---- 参数 ----
W = U = alpha = beta1 = beta2 = b = V = bv = h0 = c0 = None
# ---- 梯度 ----
dW = dU = dalpha = dbeta1 = dbeta2 = db = dV = dbv = dh0 = dc0 = None
# ---- 数据 ----
X = Ytrue = None
# ---- 前向过程中保存的量 ----
nx = nh = ny = ns = nt = 0
WX = UH = I = F = O = G = C = Hs = TC = Y = None
wx = uh = None
J = 0.0


def sigm(x):
    return 1.0 / (1.0 + np.exp(-x))


def fenpei():
    """分配存储空间"""
    global nx, nh, ny, ns, nt, WX, UH, I, F, O, G, C, Hs, TC, Y
    nx, ns, nt = X.shape
    nh = U.shape[1]
    ny = V.shape[0]
    WX = np.zeros((4 * nh, ns, nt))
    UH = np.zeros((4 * nh, ns, nt))
    I = np.zeros((nh, ns, nt))
    F = np.zeros((nh, ns, nt))
    O = np.zeros((nh, ns, nt))
    G = np.zeros((nh, ns, nt))
    TC = np.zeros((nh, ns, nt))
    C = np.zeros((nh, ns, nt + 1))      # 第 0 页是初始状态
    Hs = np.zeros((nh, ns, nt + 1))
    Y = np.zeros((ny, ns, nt))


def qianxiang():
    """前向传播,结果写入全局变量,误差写入 J"""
    global wx, uh, J
    fenpei()
    Hs[:, :, 0] = h0
    C[:, :, 0] = c0
    for t in range(nt):
        wx = np.dot(W, X[:, :, t])
        uh = np.dot(U, Hs[:, :, t])
        a = alpha * wx * uh + beta1 * uh + beta2 * wx + b
        I[:, :, t] = sigm(a[0:nh, :])
        F[:, :, t] = sigm(a[nh:2 * nh, :])
        O[:, :, t] = sigm(a[2 * nh:3 * nh, :])
        G[:, :, t] = np.tanh(a[3 * nh:4 * nh, :])
        C[:, :, t + 1] = F[:, :, t] * C[:, :, t] + I[:, :, t] * G[:, :, t]
        TC[:, :, t] = np.tanh(C[:, :, t + 1])
        Hs[:, :, t + 1] = O[:, :, t] * TC[:, :, t]
        Y[:, :, t] = np.dot(V, Hs[:, :, t + 1]) + bv
        # 保存,反向时要用
        WX[:, :, t] = wx
        UH[:, :, t] = uh
    J = 0.5 * np.sum((Y - Ytrue) ** 2) / (ns * nt)


def qingling():
    """梯度清零"""
    global dW, dU, dalpha, dbeta1, dbeta2, db, dV, dbv
    dW = np.zeros(W.shape)
    dU = np.zeros(U.shape)
    dalpha = np.zeros(alpha.shape)
    dbeta1 = np.zeros(beta1.shape)
    dbeta2 = np.zeros(beta2.shape)
    db = np.zeros(b.shape)
    dV = np.zeros(V.shape)
    dbv = np.zeros(bv.shape)


def fanxiang():
    """反向传播(BPTT),必须先调用 qianxiang"""
    global dW, dU, dalpha, dbeta1, dbeta2, db, dV, dbv, dh0, dc0
    qingling()
    err = (Y - Ytrue) / (ns * nt)
    dh = np.zeros((nh, ns))
    dc = np.zeros((nh, ns))
    for t in range(nt - 1, -1, -1):
        # 输出层
        dV = dV + np.dot(err[:, :, t], Hs[:, :, t + 1].T)
        dbv = dbv + np.sum(err[:, :, t], 1, keepdims=True)
        dh = dh + np.dot(V.T, err[:, :, t])
        # 记忆单元
        dc = dc + dh * O[:, :, t] * (1 - TC[:, :, t] ** 2)
        d_o = dh * TC[:, :, t] * O[:, :, t] * (1 - O[:, :, t])
        d_f = dc * C[:, :, t] * F[:, :, t] * (1 - F[:, :, t])
        d_i = dc * G[:, :, t] * I[:, :, t] * (1 - I[:, :, t])
        d_g = dc * I[:, :, t] * (1 - G[:, :, t] ** 2)
        da = np.vstack((d_i, d_f, d_o, d_g))
        # 乘性积分
        dalpha = dalpha + np.sum(da * WX[:, :, t] * UH[:, :, t], 1, keepdims=True)
        dbeta1 = dbeta1 + np.sum(da * UH[:, :, t], 1, keepdims=True)
        dbeta2 = dbeta2 + np.sum(da * WX[:, :, t], 1, keepdims=True)
        db = db + np.sum(da, 1, keepdims=True)
        dwx = da * (alpha * UH[:, :, t] + beta2)
        duh = da * (alpha * WX[:, :, t] + beta1)
        dW = dW + np.dot(dwx, X[:, :, t].T)
        dU = dU + np.dot(duh, Hs[:, :, t].T)
        # 传给前一时刻
        dh = np.dot(U.T, duh)
        dc = dc * F[:, :, t]
    # 初始状态由所有样本共享
    dh0 = np.sum(dh, 1, keepdims=True)
    dc0 = np.sum(dc, 1, keepdims=True)


# ---- 检查用 ----
CANSHU = ("W", "U", "alpha", "beta1", "beta2", "b", "V", "bv", "h0", "c0")


def make(Target, rng, nin=2, nhid=3, nout=2, nsample=2, T=4):
    N = 4 * nhid
    ws = {"W": rng.normal(size=(N, nin)), "U": rng.normal(size=(N, nhid)), "alpha": 1 + 0.3 * rng.normal(size=(N, 1)),
          "beta1": 0.7 + 0.3 * rng.normal(size=(N, 1)), "beta2": 0.5 + 0.3 * rng.normal(size=(N, 1)), "b": 0.3 * rng.normal(size=(N, 1)),
          "V": rng.normal(size=(nout, nhid)), "bv": rng.normal(size=(nout, 1)), "h0": 0.5 * rng.normal(size=(nhid, 1)),
          "c0": 0.5 * rng.normal(size=(nhid, 1))}
    shuju = {"X": rng.normal(size=(nin, nsample, T)), "Ytrue": rng.normal(size=(nout, nsample, T))}
    # 第一次调用前分配
    globals().update({"d" + k: np.zeros(ws[k].shape) for k in CANSHU})

    def loss():
        globals().update(ws, **shuju)
        qianxiang()
        return float(J)

    def grads():
        globals().update(ws, **shuju)
        qianxiang()
        fanxiang()
        return {k: globals()["d" + k] for k in CANSHU}

    return Target(ws, loss, grads)


BUGS = {
    "the-other-beta": ("dwx = da * (alpha * UH[:, :, t] + beta2)", "dwx = da * (alpha * UH[:, :, t] + beta1)"),
    "product-forgotten-towards-the-state": ("duh = da * (alpha * WX[:, :, t] + beta1)", "duh = da * beta1"),
    "left-over-of-the-last-step": ("dalpha = dalpha + np.sum(da * WX[:, :, t] * UH[:, :, t], 1, keepdims=True)", "dalpha = dalpha + np.sum(da * wx * uh, 1, keepdims=True)"),
    "forget-gate-of-the-step-before": ("        dc = dc * F[:, :, t]", "        dc = dc * F[:, :, t - 1]"),
    "bias-gradient-not-cleared": ("db = np.zeros(b.shape)", "pass"),
    "gates-stacked-in-another-order": ("da = np.vstack((d_i, d_f, d_o, d_g))", "da = np.vstack((d_i, d_o, d_f, d_g))"),
    "error-the-wrong-way-round": ("err = (Y - Ytrue) / (ns * nt)", "err = (Ytrue - Y) / (ns * nt)"),
    "recurrent-weights-with-the-new-state": ("dU = dU + np.dot(duh, Hs[:, :, t].T)", "dU = dU + np.dot(duh, Hs[:, :, t + 1].T)"),
}

PAIRS = [("the-other-beta", "forget-gate-of-the-step-before"), ("left-over-of-the-last-step", "recurrent-weights-with-the-new-state")]
