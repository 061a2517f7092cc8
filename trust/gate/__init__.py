"""The gate: is this wheel admitted, on this evidence, under this layout, at this time?

A pure function of its arguments: no network, no file system, no clock. The registry asks before
it publishes, the runner before it executes, `sealgate verify` on a folder.
"""

from trust.gate.core import CLOCK_SKEW, MAX_BUNDLES, Gate
from trust.gate.decision import Admitted, Decision, Refused, RefusedStep

__all__ = [
    "CLOCK_SKEW",
    "MAX_BUNDLES",
    "Admitted",
    "Decision",
    "Gate",
    "Refused",
    "RefusedStep",
]
