"""What every backward obeys, whatever its formula.

In comes an evaluator or a comparer; out goes a `Law`: whether it holds, what was found, and what to do. `laws.py` has
those that need no difference of the loss: repeatability, purity, statelessness, linearity, dependence. `scale.py` asks
whether gradients stay right beside large weights, `independence.py` whether they are made from the loss itself.
"""
