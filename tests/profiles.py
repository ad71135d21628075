"""How thorough the tests are: `HYPOTHESIS_PROFILE=nightly` tries many more cases.

`brief` draws a third as many; it is for running all tests again on other versions.
"""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
NIGHTLY, BRIEF = PROFILE == "nightly", PROFILE == "brief"
