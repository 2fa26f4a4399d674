"""How strong is a check? Bugs are planted in the user's own backward, one at a time, and its check has to see them.

What enters: a factory whose check passes.
What leaves: a `MutationReport`: for each planted bug whether the check saw it, and if not, what would show it.

A mutant that changes no gradient at any size, seed or point that is tried is equivalent and is not counted. The
mutants are written apart from the edits of `_repair`, so that repairs are not tested against themselves. Nothing is
written to the user's files.

Read `operators.py` first: the kinds of bugs, each with an example. Then `mutation_audit.py`: what becomes of one
mutant. `mutation_pool.py` takes them in turn, here or in worker processes; those of code that calls C in processes
that may die. `mutation_executor.py` shares them out to an executor of the user's.
"""
