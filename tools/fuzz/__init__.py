"""Everything that may be wrong with what pspkit is given, tried in large numbers.

    python -m tools.fuzz --count 1000 --seed 0

Each sort of case is made from a seed and a number, so that any of them can be made again: `--only weights:417`. A case
is at fault where it ends in an error that is no `PspkitError`, where the error does not name the file, where it takes
more than five seconds or half a gigabyte, and where damaged weights are loaded as if they were whole.
"""
