"""The image's entry point: import the harness from its folder, and nothing else from there."""

import gc
import sys

gc.disable()  # nothing that is imported here becomes garbage; the supervisor turns it on again
sys.path.insert(0, "/sealgate")
from _sealgate_harness import supervisor  # type: ignore[import-not-found]  # noqa: E402

sys.path.pop(0)
supervisor.main()
