"""What is checked: parameters, a loss, and the gradients somebody wrote by hand.

In comes the user's code in one of three forms; out go its values, the loss at other values, and the gradients there.
Start with `target.py`. A `Target` asks its problem (`problems.py`): arrays that are changed in place, a pure function,
or a forward with its backward. `validation.py` refuses what cannot be checked, when the target is made. `factory.py`
makes targets at other sizes. `opening.py` has the one way to use a target: `opened` draws what stays fixed, and puts
every array back.
"""
