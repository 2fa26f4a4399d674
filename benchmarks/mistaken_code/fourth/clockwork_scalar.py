# ClockworkNet.py -- port of ClockworkNet.hpp / ClockworkNet.cpp (Koutnik et al. 2014)
#
# Units are grouped into modules; module g ticks when (t & (period[g]-1)) == 0 and otherwise
# keeps its state.  A module reads its own group and the slower ones (block upper triangular).
# Activation: softsign.  Loss: Huber, averaged over all outputs of a sequence.
import math

import numpy as np

kModules = 3
kPerModule = 2
kUnits = kModules * kPerModule
kInputs = 2
kOutputs = 2
kPeriod = (1, 2, 4)
kHuber = 0.5


class Frame:
    """struct Frame { bool ticked[kModules]; double state[kUnits], out[kOutputs], resid[kOutputs]; };"""
    __slots__ = ("ticked", "state", "out", "resid")

    def __init__(self):
        self.ticked = [False] * kModules
        self.state = [0.0] * kUnits
        self.out = [0.0] * kOutputs
        self.resid = [0.0] * kOutputs


def softsign(a):
    return a / (1.0 + math.fabs(a))


def huber(e):
    a = math.fabs(e)
    return 0.5 * e * e if a <= kHuber else kHuber * (a - 0.5 * kHuber)


class ClockworkNet:
    def __init__(self, wIn, wRec, bias, wOut, bOut, start):
        self.m_wIn, self.m_wRec, self.m_bias = wIn, wRec, bias
        self.m_wOut, self.m_bOut, self.m_start = wOut, bOut, start
        self.m_frames = []

    def forward(self, seq):
        self.m_frames = []
        prev = [float(v) for v in self.m_start]
        t = 0
        while t < len(seq):
            fr = Frame()
            for g in range(kModules):
                first = g * kPerModule
                fr.ticked[g] = (t & (kPeriod[g] - 1)) == 0
                for i in range(first, first + kPerModule):
                    if not fr.ticked[g]:
                        fr.state[i] = prev[i]
                        continue
                    acc = self.m_bias[i]
                    for k in range(kInputs):
                        acc += self.m_wIn[i, k] * seq[t, k]
                    for j in range(first, kUnits):
                        acc += self.m_wRec[i, j] * prev[j]
                    fr.state[i] = softsign(acc)
            for o in range(kOutputs):
                fr.out[o] = self.m_bOut[o]
                for i in range(kUnits):
                    fr.out[o] += self.m_wOut[o, i] * fr.state[i]
            self.m_frames.append(fr)
            prev = fr.state
            t += 1

    def cost(self, target):
        sum_ = 0.0
        for t, fr in enumerate(self.m_frames):
            for o in range(kOutputs):
                fr.resid[o] = fr.out[o] - target[t, o]
                sum_ += huber(fr.resid[o])
        return sum_ / (len(self.m_frames) * kOutputs)

    def backPropagate(self, seq, gIn, gRec, gBias, gOut, gbOut, gStart):
        T = len(self.m_frames)
        scale = 1.0 / (T * kOutputs)
        delta = [0.0] * kUnits            # dE/dstate(t), filled from t+1
        deltaPrev = [0.0] * kUnits
        t = T - 1
        while t >= 0:
            fr = self.m_frames[t]
            prev = self.m_frames[t - 1].state if t > 0 else [0.0] * kUnits
            for o in range(kOutputs):
                e = fr.resid[o]
                slope = scale * (e if math.fabs(e) <= kHuber else math.copysign(kHuber, e))
                gbOut[o] += slope
                for i in range(kUnits):
                    gOut[o, i] += slope * fr.state[i]
                    delta[i] += slope * self.m_wOut[o, i]
            for g in range(kModules):
                first = g * kPerModule
                for i in range(first, first + kPerModule):
                    if not fr.ticked[g]:
                        deltaPrev[i] += delta[i]
                        continue
                    y = 1.0 - math.fabs(fr.state[i])
                    da = delta[i] * y * y
                    gBias[i] += da
                    for k in range(kInputs):
                        gIn[i, k] += da * seq[t, k]
                    for j in range(kUnits):
                        gRec[i, j] += da * prev[j]
                        deltaPrev[j] += da * self.m_wRec[i, j]
            delta, deltaPrev = deltaPrev, delta
            t -= 1
        for i in range(kUnits):
            gStart[i] += delta[i]


kShapes = (("wIn", (kUnits, kInputs)), ("wRec", (kUnits, kUnits)), ("bias", (kUnits,)),
           ("wOut", (kOutputs, kUnits)), ("bOut", (kOutputs,)), ("start", (kUnits,)))


def make(rng):
    weights = {name: 0.8 * rng.standard_normal(shape) for name, shape in kShapes}
    data = [(rng.standard_normal((T, kInputs)), rng.standard_normal((T, kOutputs))) for T in (7, 5)]
    net = ClockworkNet(*weights.values())

    def loss():
        total = 0.0
        for seq, target in data:
            net.forward(seq)
            total += net.cost(target)
        return float(total)

    def grads():
        buffers = {name: np.zeros(shape) for name, shape in kShapes}
        for seq, target in data:
            net.forward(seq)
            net.cost(target)
            net.backPropagate(seq, *buffers.values())
        return buffers

    return weights, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('buffer allocated once: after the swap it still holds the deltas of the later step',
  [84, 95, 96, 110],
  [('        deltaPrev = [0.0] * kUnits\n        t = T - 1\n        while t >= 0:\n',
    '        t = T - 1\n        while t >= 0:\n'),
   ('self.m_wOut[o, i]\n            for g in',
    'self.m_wOut[o, i]\n            deltaPrev = [0.0] * kUnits\n            for g in')]),
 ('connections from faster modules, absent in the forward pass',
  [107],
  [('for j in range(kUnits):\n                        gRec',
    'for j in range(first, kUnits):\n                        gRec')]),
 ('previous state of the first step taken as zero',
  [88],
  [('if t > 0 else [0.0] * kUnits', 'if t > 0 else self.m_start')])]
