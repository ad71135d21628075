"""The kernel interpreter: groups of calls become loops, compiled by numba."""
