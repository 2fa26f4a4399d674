"""Names are read as people mean them."""

from __future__ import annotations

import pytest

from gradcheck._drafting import guesses


@pytest.mark.parametrize(
    ("names", "size"),
    [
        (["hidden_size", "n_hidden", "H", "mem_cell_ct", "cellWidth", "n_units", "hidden_dim"], "H"),
        (["vocab_size", "input_size", "x_dim", "D", "input_dim", "xSize", "n_in", "embedding"], "D"),
        (["output_size", "num_classes", "C", "output_dim"], "O"),
        (["seq_length", "T", "T_steps", "timesteps"], "T"),
        (["batch_size", "B"], "B"),
        (["z_size", "concat_len", "HV"], "H + D"),
        (["foo", "activation"], None),
    ],
)
def test_sizes(names: list[str], size: str | None) -> None:
    """A network would be made with its inputs as wide as its states, or not at all."""
    assert {name: guesses.size_of(name) for name in names} == dict.fromkeys(names, size)


@pytest.mark.parametrize("name", ["hprev", "h_prev", "c0", "C_prev", "h", "state", "g_h_prev", "h_init"])
def test_states(name: str) -> None:
    """A hidden state would be drawn as a sequence of tokens."""
    assert guesses.is_state(name)
    assert not guesses.is_inputs(name)


@pytest.mark.parametrize("name", ["x", "xs", "inputs", "X_train", "sequence"])
def test_inputs(name: str) -> None:
    """A sequence would be taken for a target."""
    assert guesses.is_inputs(name)
    assert not guesses.is_targets(name)


def test_weights_have_room_for_all_gates() -> None:
    """A cell with its gates side by side could not be made."""
    assert guesses.weight_arguments(["Wx", "Wh", "b"], 4) == [
        "rng.standard_normal((D, 4 * H))",
        "rng.standard_normal((H, 4 * H))",
        "rng.standard_normal(4 * H)",
    ]
    assert guesses.weight_arguments(["Wx", "lr"], 1) is None


def test_the_likeliest_combination_comes_first() -> None:
    """Far-fetched guesses would be tried, and believed, before plain ones."""
    assert list(guesses.combinations([("a", "b"), ("c", "d")])) == [("a", "c"), ("a", "d"), ("b", "c"), ("b", "d")]
    assert len(list(guesses.combinations([tuple("abcdefgh")] * 4))) == guesses.MOST
