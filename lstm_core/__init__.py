"""A minimal LSTM in NumPy, its gradients written by hand.

===================  ====================================================================================
module               what is in it
===================  ====================================================================================
``cell``             one time step, the backward beside its forward: read this first
``sequence``         a whole sequence: fused gates, backpropagation through time as few large products
``loss``             softmax cross-entropy, stable, forward and backward
``optim``            SGD and Adam; clipping of the finished gradient
``model``            ``CharLSTM``: tokens to loss, gradients and samples
``train``            truncated backpropagation through time on text; ``python -m lstm_core.train FILE``
===================  ====================================================================================

Arrays are time-major, (T, B, ...); gates stand in the order i, f, g, o; losses are in nats per token.
Every function takes float32, float64 and complex arrays, changes none of its arguments, and hands out
results that no later call overwrites. ``train`` is imported on demand (``from lstm_core.train import
train``), since it is also a command.
"""

from __future__ import annotations

from lstm_core.cell import CellCache, cell_backward, cell_forward, sigmoid
from lstm_core.loss import LossCache, softmax_cross_entropy, softmax_cross_entropy_backward
from lstm_core.model import CharLSTM
from lstm_core.optim import SGD, Adam, Optimizer, clip_by_global_norm, global_norm
from lstm_core.sequence import SequenceCache, lstm_backward, lstm_forward

__all__ = [
    "SGD",
    "Adam",
    "CellCache",
    "CharLSTM",
    "LossCache",
    "Optimizer",
    "SequenceCache",
    "cell_backward",
    "cell_forward",
    "clip_by_global_norm",
    "global_norm",
    "lstm_backward",
    "lstm_forward",
    "sigmoid",
    "softmax_cross_entropy",
    "softmax_cross_entropy_backward",
]
