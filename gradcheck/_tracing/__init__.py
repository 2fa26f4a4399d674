"""Which value of a backward is which derivative, and which statement goes wrong first.

What enters: a target at one point, with at least one wrong gradient, and the source of its functions.
What leaves: faults: statements that give the wrong value, each with what it should give, what it gives, and the
gradients that it makes wrong. Where the tape cannot follow the code, this room annotates it (``gradcheck trace``).

A value is right if it is a derivative. That is the one idea of this room. Whatever a backward computes on the way to
a gradient is, in correct code, the derivative of the loss with respect to something that the forward computed: a
pre-activation, a gate, a state, a product. The true derivatives can be measured without the backward:

1. Run the loss with taps. Perturb each value that it computes, each time that it is computed, and note what the loss
   does. These are the true derivatives of everything in the forward (`adjoints.py`).
2. Run the backward with taps. Record each value that it computes, and which values it was computed from
   (`recording.py`).
3. Look each recorded value up among the derivatives: the same array, transposed, a part, a sum over time or over the
   batch (`matching.py`).
4. Follow the data. The culprit is the first value that is not a derivative although all its inputs are
   (`dataflow.py`). Some right values match nothing, such as a forward value that the backward reads, or a buffer
   that is filled bit by bit. If right values follow from a value, it is no suspect.
5. Ask what would happen if a suspect gave the right value. Override it with each derivative of its shape, and count
   how many later values become right. The override that makes most of them right says which statement is at fault
   and what it should give. It stays in place while the next fault is looked for, until every gradient is right
   (`faults.py`).

The forward is never judged: it says what the loss is. Where the code computes too much at the given sizes, or in
single precision, no value is looked for, and the report says so.

Read `trace.py` first, which holds the steps together, then the files in the order above; `orders.py` says in which
order a backward may go through time, and `annotated_source.py` writes the annotated source.
"""
