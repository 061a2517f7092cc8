"""A whole registry for tests: real application, database, blob store, scanner, worker and gate.

Only the Sigstore instance is in memory instead of behind HTTP; what signs and verifies is real.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from registry.app import create_app
from registry.httperrors import MACHINE_PATHS
from registry.openapi import document
from registry.publishing import Publishing
from registry.scanning import Scanning
from registry.services import EXTENSION, Services
from registry.settings import Settings
from registry.worker import Worker
from registry.workload import Workload
from scanner import ScanResult, scan
from tests.support.evidence import AUTHOR, REGISTRY, REVIEWERS, SCANNER, TrustFixture, answers
from tests.support.wheels import make_wheel
from trust.evidence import statements

BASE_URL = "http://registry.test"


def settings_for(trust: TrustFixture, folder: Path, **changes: Any) -> Settings:
    """Write the trust material into `folder` and return settings that name it."""
    keys = folder / "keys"
    keys.mkdir(exist_ok=True)
    for name, data in (
        ("trusted_root.json", trust.sigstore.trusted_root),
        ("layout.json", trust.layout),
        ("layout_owners.json", trust.owners),
        ("client_trust_config.json", trust.sigstore.client_trust_config),
    ):
        (keys / name).write_bytes(data)
    values: dict[str, Any] = {
        "database_url": f"sqlite:///{folder}/registry.db",
        "blob_dir": folder / "blobs",
        "trusted_root": keys / "trusted_root.json",
        "layout": keys / "layout.json",
        "layout_owners": keys / "layout_owners.json",
        "trusted_issuers": frozenset({trust.issuer}),
        "base_url": BASE_URL,
    }
    return Settings(**(values | changes))


class CheckedClient(FlaskClient):
    """A client that holds every answer against the OpenAPI document."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Send the request; an answer that the document does not describe fails the test."""
        response = super().open(*args, **kwargs)
        request = response.request
        if request.path.startswith(MACHINE_PATHS) and request.method in ("GET", "POST"):
            check_response(request.method, request.path, response)
        return response


def check_response(method: str, path: str, response: TestResponse) -> None:
    """Fail if the OpenAPI document does not describe this answer."""
    described = document(BASE_URL, 1)
    for template, operations in described["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        if not re.fullmatch(pattern, path) or method.lower() not in operations:
            continue
        if response.status_code == 304:
            return
        answers = operations[method.lower()]["responses"]
        assert str(response.status_code) in answers, f"{method} {path}: {response.status_code}"
        content = answers[str(response.status_code)]["content"]
        assert response.mimetype in content, f"{method} {path}: {response.mimetype}"
        schema = content[response.mimetype].get("schema")
        if schema is not None:
            whole = {**schema, "components": described["components"]}
            checker = Draft202012Validator.FORMAT_CHECKER
            Draft202012Validator(whole, format_checker=checker).validate(response.get_json())
        return
    assert response.status_code in (404, 405), f"{method} {path} is not in the document"
    assert response.mimetype == "application/problem+json"


@dataclass
class RegistryFixture:
    """An application with its worker.

    Attributes:
        trust: signs everything.
        settings: the settings of both.
        app: the Flask application.
        worker: scans and publishes when `run_once` is called.
        clock: may be replaced to move the time.
    """

    trust: TrustFixture
    settings: Settings
    app: Flask
    worker: Worker
    now: Callable[[], datetime]

    @classmethod
    def make(
        cls,
        trust: TrustFixture,
        folder: Path,
        scanner: Callable[[bytes, str], ScanResult] = scan,
        **changes: Any,
    ) -> RegistryFixture:
        """Open a registry in `folder`."""
        settings = settings_for(trust, folder, **changes)
        holder: list[RegistryFixture] = []

        def clock() -> datetime:
            return holder[0].now() if holder else datetime.now(UTC)

        app = create_app(settings, clock)
        app.test_client_class = CheckedClient
        services: Services = app.extensions[EXTENSION]
        made = cls(
            trust,
            settings,
            app,
            Worker(
                services,
                Scanning(services, workload(trust, SCANNER), 30.0, 3, scanner),
                Publishing(services, workload(trust, REGISTRY), 30.0),
            ),
            lambda: datetime.now(UTC),
        )
        holder.append(made)
        return made

    @property
    def services(self) -> Services:
        """The application's parts."""
        services: Services = self.app.extensions[EXTENSION]
        return services

    @property
    def client(self) -> FlaskClient:
        """A client of the application."""
        return self.app.test_client()

    def upload(self, filename: str, wheel: bytes, bundle: bytes) -> TestResponse:
        """Post a submission."""
        return self.client.post(
            "/api/v1/submissions",
            data={
                "wheel": (io.BytesIO(wheel), filename),
                "bundle": (io.BytesIO(bundle), filename + ".sigstore.json"),
            },
        )

    def submit(self, filename: str, wheel: bytes, by: str = AUTHOR) -> TestResponse:
        """Sign and post a submission."""
        return self.upload(filename, wheel, self.trust.submit(filename, wheel, by=by))

    def view(self, name: str = "example-plugin", version: str = "1.0.0") -> Any:
        """Return the version's JSON."""
        return self.client.get(f"/api/v1/plugins/{name}/{version}").get_json()

    def review_bundle(
        self,
        by: str = REVIEWERS[0],
        name: str = "example-plugin",
        version: str = "1.0.0",
        **changes: Any,
    ) -> bytes:
        """Sign a review of what the registry holds; arguments replace parts of the statement."""
        address = f"/api/v1/plugins/{name}/{version}/review-materials"
        materials = self.client.get(address).get_json()
        acknowledged = answers(materials.pop("acknowledge"))
        arguments = {"decision": "approve", "comment": "", "acknowledged": acknowledged}
        arguments |= materials | changes
        return self.trust.sigstore.sign(by, statements.review_statement(**arguments))

    def post_review(
        self, bundle: bytes, name: str = "example-plugin", version: str = "1.0.0"
    ) -> TestResponse:
        """Post a review."""
        return self.client.post(
            f"/api/v1/plugins/{name}/{version}/reviews",
            data=bundle,
            content_type="application/json",
        )

    def publish(self, filename: str, wheel: bytes) -> Any:
        """Take a wheel from nothing to published; return the version's JSON."""
        answer = self.submit(filename, wheel).get_json()
        name, version = answer["name"], answer["version"]
        self.worker.run_once()
        for reviewer in REVIEWERS[:2]:
            bundle = self.review_bundle(reviewer, name, version)
            assert self.post_review(bundle, name, version).status_code == 201
        self.worker.run_once()
        return self.view(name, version)


def workload(trust: TrustFixture, subject: str) -> Workload:
    """Return a workload that signs with the in-memory Sigstore."""
    return Workload(subject, lambda statement: trust.sigstore.sign(subject, statement))


__all__ = ["BASE_URL", "RegistryFixture", "make_wheel", "settings_for", "workload"]
