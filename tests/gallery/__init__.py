"""Correct cells in several hands, to be spoiled: nothing in them may be accused, and what spoils them must be found."""
