"""How thorough the tests are: `HYPOTHESIS_PROFILE=nightly` tries many more cases.

`brief` draws a third as many, and takes a third of cases that are long or many; it is
for running all tests again on other versions.
"""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
NIGHTLY, BRIEF = PROFILE == "nightly", PROFILE == "brief"


def some(cases):
    """Return all cases, but for the brief tests every third."""
    return cases[::3] if BRIEF else cases
