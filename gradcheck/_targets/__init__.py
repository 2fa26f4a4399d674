"""What is checked: a target, and the factory that builds it at any size.

What enters: the user's parameters, loss and gradients; or a function that builds them from a random generator and
sizes.
What leaves: answers to three questions. What are the parameters? What is the loss at other values? What are the
gradients there? Whether the values are written into the user's arrays, passed to a pure function, or passed to a
forward and a backward is settled here.

The promise of this room: every array is put back, also after an exception or Ctrl-C, and so is the state that the
user's functions keep elsewhere. The user's functions are called here, so an error in them is reported as theirs.

Read `target.py` first: the public class, and `found_code.py`: its ways in for code as it is found. `problems.py`
holds what is behind it, `pure_problems.py` and `adapters.py` the other kinds of code. `attributes.py` and
`structure.py` find arrays by name, in objects and in nested lists; `global_generator.py` keeps NumPy's global
generator. `validation.py` refuses what cannot be a target, and `opening.py` puts every array back. `user_state.py`
finds what the user's functions can reach and change. `factory.py` says which sizes are tried, how a failure is
shrunk, and how a worker process finds the factory again; `repeating.py` is the generator that it gets far above them.
"""
