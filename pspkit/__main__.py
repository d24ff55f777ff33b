"""`python -m pspkit` is the command `pspkit`."""

import sys

from pspkit.cli import main

sys.exit(main())
