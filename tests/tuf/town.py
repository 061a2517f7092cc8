"""The real registry with its TUF repository, and a runner that follows a copy of it over HTTP."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from registry.tuf.distribution import Distribution
from registry.tuf.keys import OnlineKeys
from registry.tuf.repository import Repository
from registry.tuf.store import Store
from sealgate.ceremony import local
from tests.runner.kit import Site, TestRegistry
from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture
from trust.tuf import names


def trust_files(trust: TrustFixture) -> dict[str, bytes]:
    """Return what the targets vouch for."""
    return {
        names.LAYOUT: trust.layout,
        names.LAYOUT_OWNERS: trust.owners,
        names.TRUSTED_ROOT: trust.sigstore.trusted_root,
    }


@dataclass
class Town:
    """A registry whose worker keeps a TUF repository.

    Attributes:
        folder: everything; `offline`, `online` and `root` are the ceremony's.
        registry: the real registry.
        distribution: the worker's task.
    """

    folder: Path
    registry: RegistryFixture
    distribution: Distribution

    @classmethod
    def make(cls, folder: Path, trust: TrustFixture) -> Town:
        """Hold the first ceremony and open the registry."""
        local.initialise(
            folder / "tuf", folder / "offline", folder / "online", folder / "root.json",
            trust_files(trust),
        )  # fmt: skip
        registry = RegistryFixture.make(trust, folder, tuf_dir=folder / "tuf")
        services = registry.services
        repository = Repository(
            Store(folder / "tuf"),
            (folder / "root.json").read_bytes(),
            OnlineKeys(folder / "online"),
            services.clock,
        )
        distribution = Distribution(services, repository)
        registry.worker = replace(registry.worker, distribution=distribution)
        return cls(folder, registry, distribution)

    @property
    def tuf(self) -> Path:
        """The repository's folder."""
        return self.folder / "tuf"

    @property
    def root(self) -> bytes:
        """The pinned root."""
        return (self.folder / "root.json").read_bytes()

    def mirror(self, name: str = "mirror") -> Path:
        """Copy the repository, as rsync would."""
        copy = self.folder / name
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.tuf, copy)
        return copy


def site_of(town: Town, folder: Path, trust: TrustFixture, url: str, **rule: Any) -> Site:
    """Return a runner's surroundings that follow the repository at `url` and nothing else.

    Its registry's plain API offers nothing at all.
    """
    site = Site(folder, trust, TestRegistry())
    (site.keys / "tuf-root.json").write_bytes(town.root)
    site.policy["distribution"] = {"refresh_seconds": 1, "max_age_seconds": 600, "url": url} | rule
    return site
