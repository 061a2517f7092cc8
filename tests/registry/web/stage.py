"""A real registry for the tests of the pages: application, worker, identities, a movable clock."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from registry import intake, queries, reviews
from registry.accounts.models import SessionRow
from registry.accounts.secrets import digest
from registry.app import create_app
from registry.publishing import Publishing
from registry.scanning import Scanning
from registry.services import Services, current
from registry.settings import Settings
from registry.worker import Worker
from registry.workload import Workload
from tests.support import servers
from tests.support.evidence import TrustFixture, answers
from trust.evidence import statements


class Stage:
    """A registry in a folder, and people who act on it.

    Attributes:
        trust: identities, layout, signatures.
        app: the real application.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        """Make an empty registry in `folder`; `changes` replace parts of its settings."""
        self.trust = TrustFixture()
        self._offset = timedelta()
        for name, data in (
            ("trusted_root.json", self.trust.sigstore.trusted_root),
            ("layout.json", self.trust.layout),
            ("layout_owners.json", self.trust.owners),
        ):
            (folder / name).write_bytes(data)
        self.settings = Settings(
            database_url=f"sqlite:///{folder / 'registry.db'}",
            blob_dir=folder / "blobs",
            trusted_root=folder / "trusted_root.json",
            layout=folder / "layout.json",
            layout_owners=folder / "layout_owners.json",
            trusted_issuers=frozenset({self.trust.issuer}),
            base_url="http://localhost",
            max_upload_bytes=4 << 20,
            max_dependency_bytes=0,
        )
        self.settings = replace(self.settings, **changes)
        self.app = create_app(self.settings, clock=self.now)
        services = self.services
        self.worker = Worker(
            services,
            Scanning(services, self._workload(self.trust.scanner), 30.0, 3),
            Publishing(services, self._workload(self.trust.registry), 30.0),
        )

    def _workload(self, subject: str) -> Workload:
        return Workload(subject, lambda statement: self.trust.sigstore.sign(subject, statement))

    def work(self) -> None:
        """Let the worker scan and publish until nothing waits."""
        while self.worker.run_once():
            pass

    def now(self) -> datetime:
        """Return the registry's time."""
        return datetime.now(UTC) + self._offset

    def later(self, **span: float) -> None:
        """Let time pass."""
        self._offset += timedelta(**span)

    @property
    def services(self) -> Services:
        """The application's parts."""
        with self.app.app_context():
            return current()

    def cookie(self, who: str) -> dict[str, str]:
        """Return the cookie of a browser in which `who` is signed in, without its address."""
        secret, now = secrets.token_urlsafe(32), self.now()
        issuer = self.trust.issuer
        row = SessionRow(
            sha256=digest(secret),
            issuer=issuer,
            subject=who,
            began_at=now,
            ends_at=now + timedelta(hours=1),
            browser="a test",
        )
        with self.services.database.write() as database:
            database.add(row)
        client = self.app.test_client()
        with client.session_transaction() as session:
            session["person"] = {"issuer": issuer, "subject": who, "secret": secret}
        name = str(self.app.config["SESSION_COOKIE_NAME"])
        found = client.get_cookie(name)
        assert found is not None
        return {"name": name, "value": found.value}

    def submit(self, wheel: tuple[str, bytes], *, by: str | None = None) -> intake.Accepted:
        """Submit a wheel as its author, past the browser."""
        bundle = self.trust.submit(*wheel, by=by)
        return intake.submit(self.services, *wheel, bundle, permit=lambda name: None)

    def review_bundle(
        self,
        name: str,
        version: str,
        by: str,
        decision: statements.Decision = "approve",
        comment: str = "",
    ) -> bytes:
        """Return a signed decision on the materials that the registry shows now."""
        materials = queries.materials(self.services, name, version)
        assert materials is not None
        statement = statements.review_statement(
            materials.filename,
            materials.sha256,
            decision=decision,
            report_sha256=materials.report_sha256,
            previous_sha256=materials.previous_sha256,
            policy_sha256=materials.policy_sha256,
            comment=comment,
            acknowledged=answers([asdict(item) for item in materials.acknowledge]),
        )
        return self.trust.sigstore.sign(by, statement)

    def review(
        self,
        name: str,
        version: str,
        by: str,
        decision: statements.Decision = "approve",
        comment: str = "",
    ) -> None:
        """Decide on a version, past the browser."""
        bundle = self.review_bundle(name, version, by, decision, comment)
        reviews.post(self.services, name, version, bundle)

    def publish(self, wheel: tuple[str, bytes], comment: str = "") -> intake.Accepted:
        """Take a wheel all the way."""
        accepted = self.submit(wheel)
        self.work()
        for reviewer in self.trust.reviewers[:2]:
            self.review(accepted.name, accepted.version, reviewer, comment=comment)
            comment = ""
        self.work()
        return accepted

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve the application on a free port of loopback; yield its address."""
        with servers.application(self.app) as address:
            yield address
