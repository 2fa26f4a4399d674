# Homework 3, Problem 2 (b): sequence classification with a "peephole" LSTM
# We are NOT allowed to use pytorch / tensorflow for this one, so everything is derived by hand
# (see my handwritten notes, pages 4-7, for the derivation of the peephole terms).
#
# Shapes: inputs are (batch_size, number_of_timesteps, number_of_features)
import numpy as np

L2_STRENGTH = 0.02
GATES_WITH_PEEPHOLE = ["forget", "input", "output"]


def sigmoid_function(x):
    return 1.0 / (1.0 + np.exp(-x))


def derivative_of_sigmoid(sigmoid_output):
    return sigmoid_output * (1.0 - sigmoid_output)


def derivative_of_tanh(tanh_output):
    return 1.0 - tanh_output ** 2


def softmax_of_rows(scores):
    shifted = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def initialize_parameters(number_of_features, hidden_size, number_of_classes, rng):
    parameters = {}
    for gate in ["forget", "input", "candidate", "output"]:
        parameters["W_x_" + gate] = rng.normal(0, 0.8, (number_of_features, hidden_size))
        parameters["W_h_" + gate] = rng.normal(0, 0.8, (hidden_size, hidden_size))
        parameters["bias_" + gate] = rng.normal(0, 0.3, hidden_size)
    for gate in GATES_WITH_PEEPHOLE:
        parameters["peephole_" + gate] = rng.normal(0, 0.9, hidden_size)
    # learned initial state (bonus question)
    parameters["initial_hidden"] = rng.normal(0, 0.5, hidden_size)
    parameters["initial_cell"] = rng.normal(0, 0.5, hidden_size)
    parameters["W_dense"] = rng.normal(0, 0.9, (2 * hidden_size, number_of_classes))
    parameters["bias_dense"] = rng.normal(0, 0.3, number_of_classes)
    return parameters


def gate_preactivation(parameters, gate, x, hidden):
    return x @ parameters["W_x_" + gate] + hidden @ parameters["W_h_" + gate] + parameters["bias_" + gate]


def lstm_step_forward(parameters, x, previous_hidden, previous_cell, mask):
    forget_gate = sigmoid_function(gate_preactivation(parameters, "forget", x, previous_hidden)
                                   + previous_cell * parameters["peephole_forget"])
    input_gate = sigmoid_function(gate_preactivation(parameters, "input", x, previous_hidden)
                                  + previous_cell * parameters["peephole_input"])
    candidate = np.tanh(gate_preactivation(parameters, "candidate", x, previous_hidden))
    new_cell = forget_gate * previous_cell + input_gate * candidate
    # the output gate looks at the NEW cell (this cost me two hours)
    output_gate = sigmoid_function(gate_preactivation(parameters, "output", x, previous_hidden)
                                   + new_cell * parameters["peephole_output"])
    squashed_cell = np.tanh(new_cell)
    new_hidden = output_gate * squashed_cell
    # where the sequence is already finished we just keep the old state
    hidden = mask * new_hidden + (1.0 - mask) * previous_hidden
    cell = mask * new_cell + (1.0 - mask) * previous_cell
    cache = (x, previous_hidden, previous_cell, forget_gate, input_gate, candidate,
             output_gate, new_cell, squashed_cell, mask)
    return hidden, cell, cache


def forward_pass(parameters, sequences, lengths, labels, class_weights):
    batch_size, number_of_timesteps, _ = sequences.shape
    hidden = np.tile(parameters["initial_hidden"], (batch_size, 1))
    cell = np.tile(parameters["initial_cell"], (batch_size, 1))
    list_of_caches = []
    sum_of_hidden = np.zeros_like(hidden)
    for t in range(number_of_timesteps):
        mask = (t < lengths).astype(float)[:, None]
        hidden, cell, cache = lstm_step_forward(parameters, sequences[:, t, :], hidden, cell, mask)
        list_of_caches.append(cache)
        sum_of_hidden += mask * hidden
    pooled = sum_of_hidden / lengths[:, None]
    dense_input = np.concatenate([pooled, hidden], axis=1)
    probabilities = softmax_of_rows(dense_input @ parameters["W_dense"] + parameters["bias_dense"])
    sample_weights = class_weights[labels]
    log_likelihoods = np.log(probabilities[np.arange(batch_size), labels])
    loss = -np.sum(sample_weights * log_likelihoods) / np.sum(sample_weights)
    for name in parameters:
        if name.startswith("W_"):
            loss = loss + 0.5 * L2_STRENGTH * np.sum(parameters[name] ** 2)
    return loss, (list_of_caches, dense_input, probabilities, sample_weights)


def lstm_step_backward(parameters, gradients, d_hidden, d_cell, cache):
    (x, previous_hidden, previous_cell, forget_gate, input_gate, candidate,
     output_gate, new_cell, squashed_cell, mask) = cache
    d_new_hidden = d_hidden * mask
    d_output_pre = d_new_hidden * squashed_cell * derivative_of_sigmoid(output_gate)
    d_new_cell = d_cell * mask + d_new_hidden * output_gate * derivative_of_tanh(squashed_cell)
    d_new_cell = d_new_cell + d_output_pre * parameters["peephole_output"]
    d_forget_pre = d_new_cell * previous_cell * derivative_of_sigmoid(forget_gate)
    d_input_pre = d_new_cell * candidate * derivative_of_sigmoid(input_gate)
    d_candidate_pre = d_new_cell * input_gate * derivative_of_tanh(candidate)

    # what goes to the previous timestep
    d_previous_hidden = d_hidden * (1.0 - mask)
    d_previous_cell = d_cell * (1.0 - mask) + d_new_cell * forget_gate
    d_previous_cell += d_forget_pre * parameters["peephole_forget"]
    d_previous_cell += d_input_pre * parameters["peephole_input"]
    d_previous_hidden += d_forget_pre @ parameters["W_h_forget"].T
    d_previous_hidden += d_input_pre @ parameters["W_h_input"].T
    d_previous_hidden += d_candidate_pre @ parameters["W_h_candidate"].T
    d_previous_hidden += d_output_pre @ parameters["W_h_output"].T

    # gradients of the parameters
    gradients["peephole_forget"] += (d_forget_pre * previous_cell).sum(axis=0)
    gradients["peephole_input"] += (d_input_pre * previous_cell).sum(axis=0)
    gradients["peephole_output"] += (d_output_pre * new_cell).sum(axis=0)
    for gate, d_pre in zip(["forget", "input", "candidate", "output"],
                           [d_forget_pre, d_input_pre, d_candidate_pre, d_output_pre]):
        gradients["W_x_" + gate] += x.T @ d_pre
        gradients["W_h_" + gate] += previous_hidden.T @ d_pre
        gradients["bias_" + gate] += d_pre.sum(axis=0)
    return d_previous_hidden, d_previous_cell


def backward_pass(parameters, lengths, labels, everything_from_forward):
    list_of_caches, dense_input, probabilities, sample_weights = everything_from_forward
    number_of_timesteps = len(list_of_caches)
    batch_size = len(labels)
    hidden_size = dense_input.shape[1] // 2
    gradients = {name: np.zeros_like(value) for name, value in parameters.items()}

    d_scores = probabilities.copy()
    d_scores[np.arange(batch_size), labels] -= 1.0
    d_scores *= (sample_weights / sample_weights.sum())[:, None]
    gradients["W_dense"] += dense_input.T @ d_scores
    gradients["bias_dense"] += d_scores.sum(axis=0)
    d_dense_input = d_scores @ parameters["W_dense"].T
    d_pooled = d_dense_input[:, :hidden_size]
    d_hidden = d_dense_input[:, hidden_size:]
    d_cell = np.zeros((batch_size, hidden_size))

    # backpropagation through time: last timestep first
    for t in range(number_of_timesteps - 1, -1, -1):
        mask = list_of_caches[t][-1]
        d_hidden = d_hidden + mask * d_pooled / lengths[:, None]
        d_hidden, d_cell = lstm_step_backward(parameters, gradients, d_hidden, d_cell, list_of_caches[t])
    gradients["initial_hidden"] += d_hidden.sum(axis=0)
    gradients["initial_cell"] += d_cell.sum(axis=0)
    for name in parameters:
        if name.startswith("W_"):
            gradients[name] += L2_STRENGTH * parameters[name]
    return gradients


def make(Target, rng, T=6, B=4, H=4, features=3, classes=3):
    parameters = initialize_parameters(features, H, classes, rng)
    sequences = rng.normal(0, 1, (B, T, features))
    lengths = rng.integers(max(1, T // 2), T + 1, size=B)
    lengths[0] = T
    lengths[-1] = max(1, T - 2)  # make sure there is some padding
    labels = rng.integers(0, classes, size=B)
    class_weights = rng.uniform(0.5, 2.0, size=classes)
    arguments = (sequences, lengths, labels, class_weights)

    def loss():
        return float(forward_pass(parameters, *arguments)[0])

    def grads():
        _, everything = forward_pass(parameters, *arguments)
        return backward_pass(parameters, lengths, labels, everything)

    return Target(parameters, loss, grads)


BUGS = {
    "output-peephole-path-missing": ("d_new_cell = d_new_cell + d_output_pre * parameters[\"peephole_output\"]", "d_new_cell = d_new_cell + 0.0"),
    "finished-sequence-mask-forgotten": ("d_previous_hidden = d_hidden * (1.0 - mask)", "d_previous_hidden = np.zeros_like(d_hidden)"),
    "pooling-divided-by-all-steps": ("d_hidden = d_hidden + mask * d_pooled / lengths[:, None]", "d_hidden = d_hidden + mask * d_pooled / number_of_timesteps"),
    "loop-stops-before-first-step": ("for t in range(number_of_timesteps - 1, -1, -1):", "for t in range(number_of_timesteps - 1, 0, -1):"),
    "input-peephole-assigned": ("gradients[\"peephole_input\"] += (d_input_pre * previous_cell)", "gradients[\"peephole_input\"] = (d_input_pre * previous_cell)"),
    "tanh-derivative-of-raw-cell": ("output_gate * derivative_of_tanh(squashed_cell)", "output_gate * derivative_of_tanh(new_cell)"),
    "input-gate-with-forget-weights": ("d_previous_hidden += d_input_pre @ parameters[\"W_h_input\"].T", "d_previous_hidden += d_input_pre @ parameters[\"W_h_forget\"].T"),
    "dense-input-wrong-half": ("d_hidden = d_dense_input[:, hidden_size:]", "d_hidden = d_dense_input[:, :hidden_size]"),
}
PAIRS = [
    ("output-peephole-path-missing", "input-peephole-assigned"),
    ("finished-sequence-mask-forgotten", "input-gate-with-forget-weights"),
    ("pooling-divided-by-all-steps", "loop-stops-before-first-step"),
    ("tanh-derivative-of-raw-cell", "dense-input-wrong-half"),
    ("loop-stops-before-first-step", "output-peephole-path-missing"),
    ("input-peephole-assigned", "dense-input-wrong-half"),
]
