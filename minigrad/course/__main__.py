"""`python -m minigrad.course check 02`: the same as `minigrad course check 02`."""

import sys

from minigrad.commands.course import main

sys.exit(main())
