"""A factor that all gradients have in common: named by the sizes that explain it, and told as a law."""

from __future__ import annotations

import pytest

from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes, label_of_factor, reduction_law

SIZES = {"T": 3, "B": 4, "D": 1}


@pytest.mark.parametrize(("label", "value"), [("T", 3.0), ("T*B", 12.0), ("1/B", 0.25), ("D", 1.0), ("X", 1.0)])
def test_a_label_has_its_value_at_other_sizes(label: str, value: float) -> None:
    """A factor would be divided out at the wrong size, or a size of one be called a factor."""
    assert factor_for_sizes(label, SIZES) == value


@pytest.mark.parametrize(
    ("value", "label"), [(3.0, "T"), (12.0, "T*B"), (1 / 12, "1/T*B"), (1.0, None), (5.0, None), (3.1, None)]
)
def test_a_factor_is_named_by_sizes(value: float, label: str | None) -> None:
    """A factor that no size explains would be blamed on the reduction, or one that a size explains would not."""
    assert label_of_factor(value, SIZES) == label


@pytest.mark.parametrize(
    ("common", "message"),
    [
        (
            CommonFactor(4.0, "T", ("Wy", "by")),
            "the gradients of Wy and by are 4 = T times the true ones: the loss is a mean over T, "
            "but the gradients are a sum; divide the gradients by T, or reduce the loss in the same way",
        ),
        (
            CommonFactor(0.25, "1/B", ("W", "U", "b")),
            "the gradients of W, U and b are 0.25 = 1/B times the true ones: the loss is a sum over B, "
            "but the gradients are a mean; multiply the gradients by B, or reduce the loss in the same way",
        ),
    ],
)
def test_a_wrong_reduction_says_what_to_change(common: CommonFactor, message: str) -> None:
    """A reader would divide where the gradients are too small already."""
    law = reduction_law(common)
    assert (law.holds, law.message) == (False, message)


def test_without_a_common_factor_the_law_holds() -> None:
    """A right reduction would be told as broken."""
    assert reduction_law(None).holds
