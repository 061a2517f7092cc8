"""The image's entry point: import the harness from its folder, and nothing else from there."""

import sys

sys.path.insert(0, "/sealgate")
from _sealgate_harness import supervisor  # type: ignore[import-not-found]

sys.path.pop(0)
supervisor.main()
