"""The runner's process: everything is loaded and checked, then it serves.

Policy, layout, owners and trusted root are read once, at the start; a runner that cannot verify
its own ground does not start.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from flask import Flask

from runner import sandboxes
from runner.admission import Admissions
from runner.app import CALLS_AT_ONCE, create_app
from runner.audit import Audit
from runner.clock import SystemClock
from runner.copies import Copy, StandardOutput
from runner.copy_files import CopyFiles
from runner.distribution.service import Distribution
from runner.distribution.trust_material import Pinned
from runner.fetch import HttpRegistry, Registry
from runner.live_policy import LivePolicy
from runner.logs import log_to_stderr
from runner.metrics import Gauges, Metrics
from runner.mirror import PREFIX, MirrorRegistry
from runner.output import FOLLOWERS
from runner.policy import Policy
from runner.policy_file import load_policy
from runner.quota import Quotas
from runner.readiness import Readiness, clock_check, gate_check, stale_check
from runner.records import Origin
from runner.recovery import Instance, check_not_rolled_back, keep_checkpoint, recover
from runner.revocations.follower import Follower
from runner.revocations.store import Store
from runner.server import create_server
from runner.service import Executes, Runner
from runner.setup import load_signer
from trust.errors import SealgateError, problem
from trust.evidence.bundles import BundleVerifier
from trust.gate import Gate
from trust.layout import VerifiedLayout
from trust.log import NoteVerifier
from trust.tuf.checks import check_chain

THREADS = CALLS_AT_ONCE + FOLLOWERS + 8
"""Requests that are served at one time: every call that is taken on, event streams, and probes."""
CHECKPOINT_SECONDS = 2.0
GRACE_SECONDS = 15.0
"""How long calls under way may go on when the runner is told to end."""
LINGER_SECONDS = 0.3
"""How long their replies have to leave after that."""
SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter while another wants it (`sys.setswitchinterval`). What
follows a record or a call (copies, burials) must not hold the call up whose turn it is."""

_logger = logging.getLogger(__name__)


class StartRefused(SealgateError):
    """The runner does not start: something it must rely on is missing or not valid."""


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """Where everything is.

    Attributes:
        policy: the runner's policy (JSON).
        trusted_root: Sigstore trusted root (JSON).
        layout: the signed layout.
        layout_owners: the layout owners' keys.
        audit_key: the pinned verifier key of the audit log.
        state: the runner's private folder: signing key, log, `entrypoint.log`.
        copy_to_stdout: whether records are copied to stdout as JSON lines.
        tuf_root: the pinned root of the TUF repository; needed where the policy follows one.
    """

    policy: Path
    trusted_root: Path
    layout: Path
    layout_owners: Path
    audit_key: Path
    state: Path
    copy_to_stdout: bool = True
    tuf_root: Path | None = None

    @classmethod
    def under(cls, keys: Path, state: Path) -> RunnerSettings:
        """Return the settings of a deployment with the usual names in `keys`."""
        return cls(
            keys / "runner_policy.json",
            keys / "trusted_root.json",
            keys / "layout.json",
            keys / "layout_owners.json",
            keys / "audit_log.vkey",
            state,
            tuf_root=keys / "tuf-root.json",
        )

    @property
    def audit_log(self) -> Path:
        """The audit log's database."""
        return self.state / "audit.sqlite"


@dataclass(slots=True)
class Service:
    """A runner that is ready to serve."""

    app: Flask
    runner: Runner
    audit: Audit
    policy: Policy
    live_policy: LivePolicy
    quotas: Quotas


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartRefused(
            problem(
                "runner.start",
                "the runner cannot read what it must rely on",
                value=f"{path}: {error.strerror}",
                expected="a readable file",
                advice="run `sealgate init`, or correct the path",
            )
        ) from error


def _audit(settings: RunnerSettings, stack: ExitStack) -> tuple[Audit, NoteVerifier]:
    signer = load_signer(settings.state)
    pinned = NoteVerifier.from_vkey(_read(settings.audit_key).decode("utf-8", "replace"))
    if pinned != signer.verifier:
        raise StartRefused(
            problem(
                "runner.audit-key",
                "the audit log's signing key is not the pinned one",
                value=signer.verifier_key,
                expected=pinned.vkey,
                advice="put the right key back; callers verify receipts with the pinned key",
            )
        )
    copies: list[Copy] = [StandardOutput()] if settings.copy_to_stdout else []
    files = CopyFiles(settings.state / "entrypoint.log")
    audit = Audit(settings.audit_log, signer, copies, files=files)
    stack.callback(audit.close)
    check_not_rolled_back(audit.reader, pinned, settings.state / "audit.checkpoint")
    return audit, pinned


def _checkpoints(audit: Audit, path: Path, ended: threading.Event) -> None:
    while not ended.wait(CHECKPOINT_SECONDS):
        _keep(audit, path)


def _keep(audit: Audit, path: Path) -> None:
    try:
        keep_checkpoint(audit.reader, path)
    except (OSError, SealgateError) as error:
        _logger.warning("the audit log's checkpoint could not be kept: %s", error)


@contextmanager
def open_service(
    settings: RunnerSettings,
    *,
    clock: SystemClock | None = None,
    sandbox: Executes | None = None,
) -> Iterator[Service]:
    """Load and check everything, and hold it open.

    Args:
        settings: where everything is.
        clock: the time.
        sandbox: executes; by default the real one, by the policy's image and runtime.

    Raises:
        SealgateError: something the runner must rely on is missing or not valid.
    """
    clock = clock or SystemClock()
    policy = load_policy(settings.policy)
    root, layout, owners = map(
        _read, (settings.trusted_root, settings.layout, settings.layout_owners)
    )
    followed = _distribution(settings, policy, Pinned(root, layout, owners), clock)
    gate = followed.gate if followed else Gate(root, layout, owners)
    refused = gate.check(clock.now())
    if refused is not None:
        raise StartRefused(refused.problems)
    if gate.layout is None:
        raise RuntimeError("the gate approves of a layout that it does not have")
    origin = Origin(gate.layout.sha256, policy.digest, gate.epoch, policy.image)
    with ExitStack() as stack:
        audit, _ = _audit(settings, stack)
        instance = Instance(settings.state, origin.runner_id)
        stack.callback(instance.close)
        learned = recover(audit, origin, clock, settings.state)
        kept = settings.state / "audit.checkpoint"
        keep_checkpoint(audit.reader, kept)
        stack.callback(_keep, audit, kept)
        ended = threading.Event()
        keeper = threading.Thread(
            target=_checkpoints, args=(audit, kept, ended), name="checkpoints", daemon=True
        )
        keeper.start()
        stack.callback(keeper.join)
        stack.callback(ended.set)
        checks = {
            "gate": gate_check(lambda: runner.gate, clock),
            "audit": audit.check,
            "clock": clock_check(clock),
        }
        if sandbox is None:
            sandbox = sandboxes.connect(policy, stack, settings.state)
            checks["sandbox"] = sandboxes.ready_check(policy, sandbox)
        checks["cells"] = sandboxes.cells_ready_check(sandbox, lambda: runner.policy)
        notes: dict[str, Callable[[], Any]] = {}
        if followed is not None:
            checks["distribution"], notes["distribution"] = followed.check, followed.note
        revocations = _revocations(settings, policy, root, clock, stack)
        if revocations is not None:
            checks["revocations"] = stale_check(revocations)
            notes["revocations"] = revocations.notes
        metrics, quotas = Metrics(), Quotas(CALLS_AT_ONCE)
        runner = Runner(
            policy=policy,
            admissions=Admissions(
                gate,
                followed.registry if followed else _registry(policy.registry),
                policy,
                clock,
                bindings=learned.bindings,
                excluded=revocations.excluded_reviewers if revocations else frozenset,
            ),
            sandbox=sandbox,
            audit=audit,
            clock=clock,
            origin=origin,
            metrics=metrics,
            revocations=revocations,
            driver=sandboxes.driver_of(policy, sandbox),
        )
        if revocations is not None:
            revocations.start()
        live = LivePolicy(settings.policy, policy, runner.adopt)
        live.start()
        stack.callback(live.close)
        if followed is not None:
            followed.start(runner.adopt_gate)
            stack.callback(followed.close)
        metrics.watch(
            Gauges(
                pool=sandboxes.pool_of(sandbox),
                policy=lambda: live.standing,
                audit=audit,
                layout_expires=lambda: _layout_of(runner.gate).expires,
                running=lambda: quotas.running,
                cells=sandboxes.cells_of(sandbox),
                distribution=followed.figures if followed else None,
                revocations=revocations.figures if revocations else None,
            )
        )
        app = create_app(
            runner,
            audit,
            Readiness(checks, clock.steady, notes),
            quotas,
            metrics,
            revocations=revocations,
        )
        stack.callback(quotas.drain, GRACE_SECONDS)
        yield Service(app, runner, audit, policy, live, quotas)


def _revocations(
    settings: RunnerSettings, policy: Policy, root: bytes, clock: SystemClock, stack: ExitStack
) -> Follower | None:
    """Follow the registry's revocation log where the policy says so."""
    rule = policy.revocation
    if rule is None:
        return None
    store = Store(settings.state / "revocations", rule.log_key)
    follower = Follower(rule, policy, BundleVerifier(root), store, clock)
    stack.callback(follower.close)
    return follower


def _registry(address: str) -> Registry:
    """Return what the policy's `registry` names: a registry, or a mirror."""
    return MirrorRegistry(address) if address.startswith(PREFIX) else HttpRegistry(address)


def _layout_of(gate: Gate) -> VerifiedLayout:
    if gate.layout is None:
        raise RuntimeError("the gate in force has no layout")
    return gate.layout


def _distribution(
    settings: RunnerSettings, policy: Policy, pinned: Pinned, clock: SystemClock
) -> Distribution | None:
    """Follow the TUF repository where the policy says so."""
    if policy.distribution is None:
        return None
    if settings.tuf_root is None:
        raise StartRefused(
            problem(
                "runner.start",
                "the policy follows a TUF repository and no root of it is pinned",
                value=policy.distribution.url,
                expected="the path of the pinned root, keys/tuf-root.json",
                advice="pin the root that the ceremony made: `sealgate keys`",
            )
        )
    root = _read(settings.tuf_root)
    check_chain(root, ())
    folder = settings.state / "tuf"
    return Distribution(policy.distribution, root, pinned, folder, clock)


def serve(settings: RunnerSettings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then no call is taken, running ones end, the log is closed.

    From SIGTERM on new calls are turned away with 503, and those under way, also the ones that
    nobody waits for, have `GRACE_SECONDS` to end; a second SIGTERM closes the connections.

    Raises:
        SealgateError: the runner does not start.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    with log_to_stderr(), open_service(settings) as service:
        server = create_server(
            service.app,
            host=host,
            port=port,
            threads=THREADS,
            ident="sealgate-runner",
            max_request_body_size=16 << 20,
            channel_timeout=60,
        )

        main = threading.main_thread().ident or 0
        stopping = threading.Event()

        def end() -> None:
            busy = service.quotas.running > 0
            service.quotas.drain(GRACE_SECONDS)
            if busy:
                time.sleep(LINGER_SECONDS)
            signal.pthread_kill(main, signal.SIGTERM)

        def stop(_signal: int, _frame: FrameType | None) -> None:
            if stopping.is_set():
                raise SystemExit(0)
            stopping.set()
            threading.Thread(target=end, name="end", daemon=True).start()

        signal.signal(signal.SIGTERM, stop)
        _logger.info("ready on http://%s:%s", host, port)
        try:
            server.run()
        except (SystemExit, KeyboardInterrupt):
            _logger.info("stopping")
        finally:
            server.close()
