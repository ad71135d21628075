"""The command `tensorgrad`, as `python -m tensorgrad`."""

import sys

from .cli import main

sys.exit(main())
