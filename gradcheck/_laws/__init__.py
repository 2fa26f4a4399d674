"""Laws that every backward obeys, whatever its formula. Most of them need no differences of the loss.

What enters: an evaluator or a comparer at a point; some laws need only what the user's functions returned.
What leaves: a `Law`: whether it holds, what was found, what to do, and the verdict if it is broken.

The laws see what a comparison at one point cannot: state that is carried from call to call, inputs that are never
read, a clip that is silent at the usual scale, gradients that are made from the loss itself.

Read `laws.py` first: one function for each law. `scale.py` asks whether gradients stay right beside large weights,
and `independence.py` whether they are made from the loss, by what runs in them and by their digits
(`loss_rounding.py`). Some laws are made elsewhere: names, shapes and finite gradients in `_numeric/gradients.py`,
reduction in `_symptoms/common_factor.py`, and sizes in `_checking`.
"""
