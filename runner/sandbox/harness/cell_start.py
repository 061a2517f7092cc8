"""The entry point of the cell level: import the harness from its folder, and nothing else from
there. It takes no argument and reads no variable: there is no switch to turn a wall off.
"""

import sys

sys.path.insert(0, "/sealgate")
from _sealgate_harness import cell_init  # type: ignore[import-not-found]

sys.path.pop(0)
cell_init.main()
