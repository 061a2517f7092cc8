"""A local deployment as `sealgate init` makes it, served on loopback: authority and registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Flask

import authority.app
from authority.setup import open_authority, open_clients, open_passkeys
from registry.app import create_app
from registry.worker import Worker
from sealgate.deployment import Addresses, Deployment
from sealgate.settings import registry_settings, worker_settings
from sealgate.setup import Plan, initialise
from tests.support import ports, servers

ALICE = "alice@example.com"
REVIEWERS = ("bob@example.com", "carol@example.com", "dave@example.com")


class Site:
    """Authority, registry and worker of one deployment.

    Attributes:
        deployment: its folder.
        app: the registry's application.
        authority_app: the authority's application.
        worker: scans and publishes when `work` is called.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        addresses = Addresses(*(f"http://{host}:{port}" for port in ports.free(3)))
        self.deployment: Deployment = initialise(
            folder, addresses, Plan(image="sha256:" + "0" * 64)
        )
        state = self.deployment.state("authority")
        self._authority, accounts = open_authority(state)
        self.authority_app = authority.app.create_app(
            self._authority, accounts, open_clients(state), open_passkeys(state)
        )
        self.app = create_app(registry_settings(self.deployment))
        self.worker = Worker.open(worker_settings(self.deployment))

    @property
    def url(self) -> str:
        """The registry's address."""
        return self.deployment.addresses.registry

    @property
    def issuer(self) -> str:
        """The authority's address."""
        return self.deployment.addresses.authority

    @property
    def log_size(self) -> int:
        """How many entries the transparency log has."""
        return self._authority.log_service.log.size

    def password(self, account: str) -> str:
        """Return an account's password."""
        return self.deployment.secret(account).read_text(encoding="ascii").strip()

    def token(self, account: str) -> str:
        """Return a token for Sigstore that is bound to no statement, as a command gets it."""
        return self._authority.tokens.mint(account)

    def work(self) -> None:
        """Let the worker scan and publish until nothing waits."""
        while self.worker.run_once():
            pass

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve both; yield the registry's address."""
        with ExitStack() as stack:
            stack.enter_context(served_at(self.issuer, self.authority_app))
            stack.enter_context(served_at(self.url, self.app))
            yield self.url

    def close(self) -> None:
        """Close what is open."""
        self.worker.services.close()
        self.app.extensions["sealgate"].close()
        self._authority.close()


@contextmanager
def served_at(url: str, app: Flask) -> Iterator[None]:
    """Serve an application at the port of its own address."""
    with servers.application(app, int(url.rsplit(":", 1)[1])):
        yield
