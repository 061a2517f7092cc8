"""The second isolation level: one hardened container for a plugin version, a cell for each call.

`CellSandbox.connect(image)`, then `execute(Job)` -> `Execution`, as `runner.sandbox.Sandbox`. What
a cell is, what it stops and what it costs is in `docs/sandbox.md`; `Levels` chooses by the job.
"""

from runner.sandbox.cell.homes import Renewal
from runner.sandbox.cell.levels import Levels
from runner.sandbox.cell.sandbox import CellSandbox

__all__ = ["CellSandbox", "Levels", "Renewal"]
