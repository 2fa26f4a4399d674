"""The user's functions and their source: which run, what they say, and how they run with taps in them or with edits.

Start with `source`: a `Source` is one file as Python reads it, and an `Edit` replaces a piece of its text. Then, in the
order in which a search for a line uses them:

- `profiling`: which of the user's functions run;
- `rewriting`: a module in which every value passes through a tap; `instrument` puts that code into the functions;
- `scope`: what a statement could name where it runs;
- `patching`: functions that run as if their file had been edited;
- `style`: edits written as the user writes;
- `fix_files`: verified edits written to the user's files, or to a patch.

Nothing here knows of gradients. Whatever is put into a function is taken out again, whatever happens.
"""
