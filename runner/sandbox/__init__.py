"""The sandbox: one hardened single-use container for every call of a plugin.

`Sandbox.connect(image)`, then `execute(Job)` -> `Execution`. How the container is made, and what
each control stops, is in `docs/sandbox.md`.
"""

from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.execution import Execution, Job, Status, Usage
from runner.sandbox.pool import PoolSettings, PoolState
from runner.sandbox.sandbox import Sandbox

__all__ = [
    "Execution",
    "Job",
    "PoolSettings",
    "PoolState",
    "Sandbox",
    "SandboxUnavailable",
    "Status",
    "Usage",
]
