"""A backward written from a forward: ``gradcheck derive``.

What enters: a target whose loss runs; its gradients do not matter. What leaves: the source of a backward in NumPy, in
the user's names, that the full check has found right; or an error that names the line and says why there is none.

It is reverse mode on the syntax of the forward, which runs meanwhile, so that the shape of every value is known, and
which branch was taken. Three steps:

1. Read. `Reader` goes through the functions of the loss as they run and puts their statements into one straight
   program (`statements.py`), in which every name is bound at one place: calls of the user's functions are replaced by
   what they do, loops over numbers and arrays stay loops, loops over names and objects are written out. What a loop
   hands from step to step has a name before the step (`h_prev`) and one after it (`h`). What only shows at the end of a
   loop (an attribute that is handed on, a list that derivatives go into) makes it read again. `reader.py` reads
   statements; below it are `branching.py`, `iterating.py`, `carrying.py`, `unrolling.py`, `calls.py`, `expressions.py`,
   and `environment.py` for what is known meanwhile.
2. Write. `Backward` goes through that program from its end, `backward.py` through statements, `pulling.py` through
   expressions. The shares of a derivative are gathered (`shares.py`) until the statement that calculated the value is
   reached, and then written as one sum; in inner blocks they are added at once. `rules.py` and `shape_rules.py` have
   the vector-Jacobian product of each NumPy function; the arithmetic ones are those that repair writes with, too
   (`gradcheck._mending.vjp`). The slope of an activation is told from its result by trying it out (`slopes.py`,
   `composed.py`), so that it is ``s * (1 - s)`` however a logistic function is written. What a loop's backward needs of
   a step is kept in a list.
3. Verify. The target with this backward in the place of its gradients goes through the whole check (`verifying.py`).
   Nothing is handed over that is not right by it. So the steps before need not be careful about what is rare: views of
   what is written to later, say.

Read `derivation.py` first: the verb. Then `derive.py`, which holds steps 1 and 2 together, then the files in the order
above. `scopes.py` says which statements of a function are needed and how its closure is found again at other sizes;
`naming.py` gives names; `tidying.py` and `layout.py` put the text in order.
"""
