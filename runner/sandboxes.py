"""The sandboxes of a runner, as its policy asks for them, and whether they could work now."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from runner.policy import Policy
from runner.readiness import cells_check
from runner.sandbox import Sandbox, image
from runner.sandbox.cell import CellSandbox, Levels
from runner.sandbox.cell.homes import CellState
from runner.sandbox.engine import Engine
from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.execution import DriverName
from runner.sandbox.pool import PoolSettings, PoolState
from runner.service import Executes

ENGINE_SECONDS = 2.0
"""How long the engine may take to answer a readiness probe."""

_logger = logging.getLogger(__name__)


def ready_check(policy: Policy, sandbox: Executes) -> Callable[[], None]:
    """Return a check that raises SandboxUnavailable where containers cannot be made now."""
    container = sandbox.container if isinstance(sandbox, Levels) else sandbox
    if isinstance(container, Sandbox) and container.driver.name != "engine":
        return container.driver.check
    engine = Engine(None, ENGINE_SECONDS)

    def check() -> None:
        image.describe(engine.client, policy.image)

    return check


def connect(policy: Policy, stack: ExitStack, state: Path) -> Executes:
    """Connect the container level and, where the policy allows it to any version, the cells'.

    Args:
        policy: driver, runtime, image, pool, fallback, levels.
        stack: ends what is connected.
        state: the runner's own folder.

    Raises:
        SandboxUnavailable: no containers can be made, and the policy names no fallback.
    """
    bounds = policy.pool
    pool = PoolSettings(floor=bounds.floor, ceiling=bounds.ceiling) if bounds.ceiling else None
    roots = state / "images"
    try:
        made = Sandbox.connect(
            policy.image, policy.runtime, pool=pool, driver=policy.driver, folder=roots
        )
    except SandboxUnavailable as error:
        if policy.fallback is None:
            raise
        _logger.warning(
            "no containers; calls run in subprocesses, which hold less (sandbox.fallback): %s",
            error.diagnostics(),
        )
        made = Sandbox.connect(policy.image, pool=pool, driver=policy.fallback)
    sandbox = stack.enter_context(made)
    if not policy.uses_cells():
        return sandbox
    cells = stack.enter_context(
        CellSandbox.connect(policy.image, policy.runtime, driver=policy.driver, folder=roots)
    )
    return Levels(sandbox, cells)


def cells_ready_check(sandbox: Executes, policy: Callable[[], Policy]) -> Callable[[], None]:
    """Return a check that raises where the policy asks for cells and this host makes none."""
    cells = sandbox.cell if isinstance(sandbox, Levels) else None
    refusal = None if cells is None else cells.why_not
    return cells_check(lambda: policy().uses_cells(), refusal)


def driver_of(policy: Policy, sandbox: Executes) -> DriverName:
    """Return what makes the containers of this process: the policy's driver, or its fallback."""
    container = sandbox.container if isinstance(sandbox, Levels) else sandbox
    if isinstance(container, Sandbox) and container.driver.name == policy.fallback:
        return "subprocess"
    return policy.driver


def pool_of(sandbox: Executes) -> Callable[[], PoolState | None]:
    """Return what tells how the pool of warm containers stands, for metrics."""
    container = sandbox.container if isinstance(sandbox, Levels) else sandbox
    return container.pool_state if isinstance(container, Sandbox) else lambda: None


def cells_of(sandbox: Executes) -> Callable[[], CellState] | None:
    """Return what tells how the cells stand, for metrics; None where there are none."""
    return sandbox.cell.state if isinstance(sandbox, Levels) else None
