"""What a wrong gradient looks like beside the true one, told without any source.

Two gradients enter, analytic and numerical; a `gradcheck.report.evidence.Symptom` leaves: a code and what shows it.
`patterns.py` knows factors, signs, transposes, clips; `wrong_regions.py` which rows, columns or gates are wrong;
`lost_shares.py` a sum of which one share is left; `activations.py` derivatives applied twice, or left out;
`common_factor.py` one factor in all gradients. A symptom is named only where it fits to rounding, and says how well.

Start with `patterns.match_pattern`.
"""
