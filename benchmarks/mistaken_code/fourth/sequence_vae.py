"""
Companion code of the post "A sequence VAE you can differentiate on a napkin".

Part 1  two plain RNNs read the sequence, one from each end; their last states are ADDED
Part 2  the summary becomes a Gaussian code, we take one (frozen) sample of it
Part 3  a third RNN writes the sequence back, one frame per step; it is shown the previous
        true frame, unless that frame was dropped
Part 4  we walk back through parts 3, 2, 1

Note that `reading_matrix` is used in FOUR places: both readers, the writer's input, and
(transposed) the writer's output.
"""
from collections import deque

import numpy as np

FRAME_SIZE, STATE_SIZE, CODE_SIZE = 2, 3, 2
KL_WEIGHT = 0.3


# ---------------------------------------------------------------- one plain RNN, both ways
def unroll(first_state, inputs, recurrent_matrix, bias):
    """inputs: list of (batch, state) contributions.  Returns the last state and a tape."""
    tape = deque()
    state = first_state
    for contribution in inputs:
        previous, state = state, np.tanh(contribution + state @ recurrent_matrix + bias)
        tape.appendleft((previous, state))
    return state, tape


def unroll_backward(tape, gradient_per_state, recurrent_matrix):
    """gradient_per_state: newest first, like the tape.
    Returns d inputs (oldest first), d first_state, d recurrent_matrix, d bias."""
    d_recurrent, d_bias = np.zeros_like(recurrent_matrix), 0.0
    d_inputs = deque()
    from_the_future = 0.0
    for (previous, state), from_outside in zip(tape, gradient_per_state):
        d_state = from_outside + from_the_future
        d_preactivation = d_state * (1.0 - state ** 2)
        d_recurrent += previous.T @ d_preactivation
        d_bias += d_preactivation.sum(axis=0)
        d_inputs.appendleft(d_preactivation)
        from_the_future = d_preactivation @ recurrent_matrix.T
    return list(d_inputs), from_the_future, d_recurrent, d_bias


# ---------------------------------------------------------------- forward
def forward(weights, frames, noise, shown):
    """frames: list over time of (batch, frame).  shown: list over time of (batch, 1)."""
    batch = len(frames[0])
    nothing = np.zeros((batch, STATE_SIZE))
    read = [frame @ weights["reading_matrix"] for frame in frames]
    summary_a, tape_a = unroll(nothing, read, weights["recurrent_a"], weights["bias_a"])
    summary_b, tape_b = unroll(nothing, read[::-1], weights["recurrent_b"], weights["bias_b"])
    summary = summary_a + summary_b

    mean = summary @ weights["to_mean"] + weights["mean_bias"]
    log_variance = summary @ weights["to_log_variance"] + weights["log_variance_bias"]
    code = mean + np.exp(0.5 * log_variance) * noise

    opening = np.tanh(code @ weights["from_code"] + weights["opening_bias"])
    hints = [np.zeros_like(frames[0])] + [m * frame for m, frame in zip(shown, frames[:-1])]
    written_inputs = [hint @ weights["reading_matrix"] for hint in hints]
    _, tape_w = unroll(opening, written_inputs, weights["recurrent_w"], weights["bias_w"])
    guesses = [state @ weights["reading_matrix"].T + weights["frame_bias"] for _, state in reversed(tape_w)]
    return summary, mean, log_variance, code, opening, hints, guesses, tape_a, tape_b, tape_w


def cost(weights, frames, noise, shown):
    _, mean, log_variance, _, _, _, guesses, *_ = forward(weights, frames, noise, shown)
    misfit = sum(0.5 * ((guess - frame) ** 2).sum() for guess, frame in zip(guesses, frames))
    divergence = 0.5 * (mean ** 2 + np.exp(log_variance) - 1.0 - log_variance).sum()
    return float((misfit + KL_WEIGHT * divergence) / len(mean))


# ---------------------------------------------------------------- backward
def cost_gradient(weights, frames, noise, shown):
    summary, mean, log_variance, code, opening, hints, guesses, tape_a, tape_b, tape_w = \
        forward(weights, frames, noise, shown)
    batch = len(mean)
    gradient = {}
    d_reading = np.zeros_like(weights["reading_matrix"])

    # Part 3: the writer
    d_guesses = [(guess - frame) / batch for guess, frame in zip(guesses, frames)]
    gradient["frame_bias"] = sum(d_guess.sum(axis=0) for d_guess in d_guesses)
    for d_guess, (_, state) in zip(d_guesses, reversed(tape_w)):
        d_reading += d_guess.T @ state
    d_states = [d_guess @ weights["reading_matrix"] for d_guess in reversed(d_guesses)]
    d_written_inputs, d_opening, gradient["recurrent_w"], gradient["bias_w"] = \
        unroll_backward(tape_w, d_states, weights["recurrent_w"])
    for hint, d_input in zip(hints, d_written_inputs):
        d_reading += hint.T @ d_input

    # Part 2: the code
    d_opening = d_opening * opening * (1.0 - opening)
    gradient["from_code"] = code.T @ d_opening
    gradient["opening_bias"] = d_opening.sum(axis=0)
    d_code = d_opening @ weights["from_code"].T
    d_mean = d_code + KL_WEIGHT * mean
    d_log_variance = d_code * noise * np.exp(0.5 * log_variance)
    d_log_variance += KL_WEIGHT * 0.5 * (np.exp(log_variance) - 1.0) / batch
    gradient["to_mean"] = summary.T @ d_mean
    gradient["mean_bias"] = d_mean.sum(axis=0)
    gradient["to_log_variance"] = summary.T @ d_log_variance
    gradient["log_variance_bias"] = d_log_variance.sum(axis=0)
    d_summary = d_mean @ weights["to_mean"].T + d_log_variance @ weights["to_log_variance"].T

    # Part 1: the two readers, only their last states were used
    only_the_last = [d_summary] + [0.0] * (len(frames) - 1)
    for letter, tape, order in (("a", tape_a, frames), ("b", tape_b, frames)):
        d_read, _, gradient["recurrent_" + letter], gradient["bias_" + letter] = \
            unroll_backward(tape, only_the_last, weights["recurrent_" + letter])
        for frame, d_input in zip(order, d_read):
            d_reading += frame.T @ d_input
    gradient["reading_matrix"] = d_reading
    return gradient


def make(rng):
    f, s, c = FRAME_SIZE, STATE_SIZE, CODE_SIZE
    shapes = {"reading_matrix": (f, s), "recurrent_a": (s, s), "bias_a": (s,), "recurrent_b": (s, s),
              "bias_b": (s,), "to_mean": (s, c), "mean_bias": (c,), "to_log_variance": (s, c),
              "log_variance_bias": (c,), "from_code": (c, s), "opening_bias": (s,),
              "recurrent_w": (s, s), "bias_w": (s,), "frame_bias": (f,)}
    weights = {name: rng.normal(scale=0.7, size=shape) for name, shape in shapes.items()}
    frames = list(rng.normal(size=(5, 3, f)))
    noise = rng.normal(size=(3, c))
    shown = [np.array([[1.0], [0.0], [1.0]]), np.array([[0.0], [1.0], [1.0]]),
             np.array([[1.0], [1.0], [1.0]]), np.array([[1.0], [1.0], [0.0]])]
    return weights, lambda: cost(weights, frames, noise, shown), lambda: cost_gradient(weights, frames, noise, shown)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('reparametrisation: factor 1/2 missing', [102], [('d_code * noise * np.exp(', 'd_code * noise * 0.5 * np.exp(')]),
 ('backward reader: frames not reversed', [112], [('("b", tape_b, frames)', '("b", tape_b, frames[::-1])')]),
 ('derivative of the sigmoid instead of tanh',
  [97],
  [('d_opening * opening * (1.0 - opening)', 'd_opening * (1.0 - opening ** 2)')]),
 ('divergence: 1/batch missing for the mean', [101], [('KL_WEIGHT * mean', 'KL_WEIGHT * mean / batch')])]
