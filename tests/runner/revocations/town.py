"""A runner beside a registry on a socket; the registry's revocation log is the real one's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry.revocations.log import LogKeeper
from registry.revocations.settings import RevocationSettings
from tests.runner.kit import NAME, Site, TestRegistry
from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture
from trust.log import NoteSigner
from trust.revocation import Target, revocation_statement

ADMIN = "admin@example.com"
ORIGIN = "sealgate.test/revocations"
PATH = "/api/v1/revocations"


class LoggingRegistry(TestRegistry):
    """Answers for plugins from memory, and hands questions about the log to a real registry.

    `lie` may replace the answer about the log, `answers` has answers by path.
    """

    def __init__(self) -> None:
        self.real: RegistryFixture | None = None
        self.lie: Callable[[bytes], bytes | None] = lambda answer: answer
        self.answers: dict[str, bytes] = {}
        super().__init__()

    def answer(self, path: str) -> bytes | None:
        if path in self.answers:
            return self.answers[path]
        if path.startswith(PATH) and self.real is not None:
            answer = self.real.client.get(path)
            return self.lie(answer.data)
        return super().answer(path)


@dataclass
class Town:
    """A registry with a revocation log, and the surroundings of a runner that follows it.

    Attributes:
        site: the runner's surroundings.
        plugins: the registry that the runner asks.
        registry: the real registry, which has the log.
        keeper: the worker's part.
    """

    site: Site
    plugins: LoggingRegistry
    registry: RegistryFixture
    keeper: LogKeeper

    def sign(
        self, target: Target, by: str = ADMIN, action: Any = "revoke", at: datetime | None = None
    ) -> bytes:
        """Return the bundle of a revocation."""
        effective = at or datetime.now(UTC)
        statement = revocation_statement(
            target, action=action, reason="it steals", effective=effective
        )
        return self.registry.trust.sigstore.sign(by, statement)

    def revoke(self, target: Target, **changes: Any) -> bytes:
        """Have the registry log a revocation."""
        bundle = self.sign(target, **changes)
        return self.post(bundle)

    def post(self, bundle: bytes) -> bytes:
        """Have the registry log a bundle."""
        answer = self.registry.client.post(
            "/api/v1/revocations", data=bundle, content_type="application/json"
        )
        assert answer.status_code == 201, answer.get_json()
        self.keeper.once()
        return bundle


@contextmanager
def town(folder: Path, trust: TrustFixture) -> Iterator[Town]:
    """Build it: one published version, an empty log, and a policy that follows the log by hand."""
    (folder / "registry").mkdir()
    settings = RevocationSettings(
        folder / "registry" / "log.sqlite", frozenset({trust.identity(ADMIN)})
    )
    plugins = LoggingRegistry()
    try:
        registry = RegistryFixture.make(trust, folder / "registry", revocations=settings)
        assert settings.log is not None
        keeper = LogKeeper(registry.services, settings.log, NoteSigner.generate(ORIGIN))
        keeper.once()
        plugins.real = registry
        site = Site(folder, trust, plugins)
        site.release()
        site.policy["revocation"] = {
            "poll_seconds": 59,
            "max_age_seconds": 60,
            "log_key": keeper.signer.verifier_key,
            "revokers": [trust.identity(ADMIN).as_dict()],
        }
        yield Town(site, plugins, registry, keeper)
        registry.services.close()
    finally:
        plugins.close()


__all__ = ["ADMIN", "NAME", "PATH", "Town", "town"]
