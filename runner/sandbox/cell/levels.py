"""One sandbox for jobs of both levels: each goes to the one that its policy names, or nowhere."""

from __future__ import annotations

from runner.sandbox.cell.sandbox import CellSandbox
from runner.sandbox.execution import Execution, Job
from runner.sandbox.sandbox import Sandbox


class Levels:
    """Executes a job at the level that it names. No level stands in for another."""

    def __init__(self, container: Sandbox, cell: CellSandbox) -> None:
        """Take both sandboxes; whoever made them ends them."""
        self.container = container
        self.cell = cell

    def execute(self, job: Job) -> Execution:
        """Execute one job.

        Raises:
            ValueError: the job does not fit the protocol, or names no level that there is.
        """
        match job.level:
            case "container":
                return self.container.execute(job)
            case "cell":
                return self.cell.execute(job)
            case other:
                raise ValueError(f"no level {other!r}")
