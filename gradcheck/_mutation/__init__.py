"""How strong is a check? Bugs are planted in the user's own backward, one at a time, and its check has to see them.

A factory (``@gradcheck.target``) enters, a `MutationReport` leaves. Start with `mutate` in `mutation_pool`, which takes
the mutants in turn, here or in worker processes. `operators` makes them: one table of the mistakes that people make,
each with an example. `mutation_audit` runs the user's functions with one of them, compares the gradients with the
original's, and lets the check judge. Nothing is written to the user's files.
"""
