"""Every kind of finding there is, by a code that stays the same from release to release."""

from __future__ import annotations

from enum import StrEnum


class FindingCode(StrEnum):
    """What a finding is about: a broken law, what a wrong gradient looks like, or the mistake on a line."""

    # laws, which every backward obeys
    LAW_SCALAR = "law-scalar"
    LAW_FINITE = "law-finite"
    LAW_REPEATABILITY = "law-repeatability"
    LAW_PURITY = "law-purity"
    LAW_STATELESSNESS = "law-statelessness"
    LAW_INDEPENDENCE = "law-independence"
    LAW_LINEARITY = "law-linearity"
    LAW_DEPENDENCE = "law-dependence"
    LAW_SCALE = "law-scale"
    LAW_REDUCTION = "law-reduction"
    LAW_NAMES = "law-names"
    LAW_SHAPES = "law-shapes"
    LAW_SIZES = "law-sizes"

    # what a wrong gradient looks like, told without any source
    NOT_COMPARABLE = "not-comparable"
    NO_PATTERN = "no-pattern"
    WRONG_IN_PART = "wrong-in-part"
    WRONG_ENTRIES = "wrong-entries"
    ACTIVATION = "activation"
    FACTOR = "factor"
    COMMON_FACTOR = "common-factor"
    SIGN = "sign"
    TRANSPOSED = "transposed"
    ZERO = "zero"
    PHANTOM = "phantom"
    EXCHANGED = "exchanged"
    GATES_PERMUTED = "gates-permuted"
    SUMMED_TOO_FAR = "summed-too-far"
    CARRY_DROPPED = "carry-dropped"
    CLIPPED = "clipped"
    REPEATED_INDEX = "repeated-index"
    SHARE_LOST = "share-lost"

    # the mistake on a line, named from the edit that mends it
    TANH_DERIVATIVE = "tanh-derivative"
    SIGMOID_DERIVATIVE = "sigmoid-derivative"
    WRONG_SIGN = "wrong-sign"
    WRONG_TERM_SIGN = "wrong-term-sign"
    WRONG_VARIABLE = "wrong-variable"
    WRONG_INDEX = "wrong-index"
    WRONG_OPERATOR = "wrong-operator"
    TERM_MISSING = "term-missing"
    TERM_EXTRA = "term-extra"
    FACTOR_MISSING = "factor-missing"
    FACTOR_EXTRA = "factor-extra"
    DIVISION_MISSING = "division-missing"
    DIVISION_EXTRA = "division-extra"
    POWER_MISSING = "power-missing"
    POWER_EXTRA = "power-extra"
    ARGUMENTS_EXCHANGED = "arguments-exchanged"
    FACTORS_EXCHANGED = "factors-exchanged"
    VALUES_EXCHANGED = "values-exchanged"
    MISSING_SUM = "missing-sum"
    EXTRA_SUM = "extra-sum"
    MISSING_TRANSPOSE = "missing-transpose"
    EXTRA_TRANSPOSE = "extra-transpose"
    MISSING_INDEX = "missing-index"
    EXTRA_INDEX = "extra-index"
    MISSING_CALL = "missing-call"
    EXTRA_CALL = "extra-call"
    MISSING_COPY = "missing-copy"
    SHARED_ARRAY = "shared-array"
    WRITES_INTO_CALLERS = "writes-into-callers"
    EXTRA_STATEMENT = "extra-statement"
    MISSING_STATEMENT = "missing-statement"
    NOT_CLEARED = "not-cleared"
    WRONG_ORDER = "wrong-order"
    WRONG_PLACE = "wrong-place"
    COTANGENT_UNUSED = "cotangent-unused"
    LATER_STEPS_MISSING = "later-steps-missing"
    INDEX_REPEATS = "index-repeats"
    BINDS_LATE = "binds-late"
    CLIPS_FINISHED = "clips-finished"
    CONSTANT_LEFT_OUT = "constant-left-out"
    MISSING_CLIP = "missing-clip"
    EXTRA_CLIP = "extra-clip"
    ASSIGNED_NOT_ADDED = "assigned-not-added"
    ADDED_NOT_ASSIGNED = "added-not-assigned"
    WRONG_LINE = "wrong-line"
    WRONG_RETURN = "wrong-return"

    @classmethod
    def of_law(cls, name: str) -> FindingCode:
        """The code of a broken law."""
        return cls[f"LAW_{name.upper()}"]

    @property
    def law(self) -> str:
        """The name of the law; empty if it is none."""
        return self.name.removeprefix("LAW_").lower() if self.is_law else ""

    @property
    def is_law(self) -> bool:
        """Whether it is a broken law."""
        return self.name.startswith("LAW_")

    @property
    def is_pattern(self) -> bool:
        """Whether it says what a wrong gradient looks like; a line that spoils the gradient explains it."""
        return self in _KINDS

    @property
    def is_line(self) -> bool:
        """Whether it is the mistake on a line."""
        return not (self.is_law or self.is_pattern)

    @property
    def is_unnamed(self) -> bool:
        """Whether it leaves open what is wrong with the gradient."""
        return self in (self.NO_PATTERN, self.WRONG_IN_PART, self.WRONG_ENTRIES)

    @property
    def is_explained_by_a_line(self) -> bool:
        """Whether a line that spoils the same gradients says all that this says."""
        return self.is_pattern and self not in (self.NOT_COMPARABLE, self.ACTIVATION)

    @property
    def is_about_state(self) -> bool:
        """Whether it is a law whose breach tells of something that is carried from call to call."""
        return self in (self.LAW_STATELESSNESS, self.LAW_REPEATABILITY, self.LAW_PURITY)

    @property
    def is_broken_by_a_clip(self) -> bool:
        """Whether it is a law that a clip inside the backward breaks, even where the gradients are right."""
        return self in (self.LAW_SCALE, self.LAW_LINEARITY)

    @property
    def kind(self) -> str:
        """The word of reports before version 1 for it, which `Finding.kind` keeps."""
        return f"law:{self.law}" if self.is_law else _KINDS.get(self, "gradient")


#: the patterns, each with its word in reports before version 1
_KINDS = {
    FindingCode.NOT_COMPARABLE: "structure",
    FindingCode.NO_PATTERN: "gradient",
    FindingCode.WRONG_IN_PART: "partly",
    FindingCode.WRONG_ENTRIES: "entries",
    FindingCode.ACTIVATION: "activation",
    FindingCode.FACTOR: "factor",
    FindingCode.COMMON_FACTOR: "reduction",
    FindingCode.SIGN: "sign",
    FindingCode.TRANSPOSED: "transposed",
    FindingCode.ZERO: "missing",
    FindingCode.PHANTOM: "phantom",
    FindingCode.EXCHANGED: "exchanged",
    FindingCode.GATES_PERMUTED: "permuted",
    FindingCode.SUMMED_TOO_FAR: "reduced",
    FindingCode.CARRY_DROPPED: "carried",
    FindingCode.CLIPPED: "clipped",
    FindingCode.REPEATED_INDEX: "repeated",
    FindingCode.SHARE_LOST: "share",
}
