"""How thorough the tests are: `HYPOTHESIS_PROFILE=nightly` tries many more cases."""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "ci")
NIGHTLY = PROFILE == "nightly"
