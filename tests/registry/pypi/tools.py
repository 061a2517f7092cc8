"""The packaging tools as people run them, against a registry that is served over HTTP."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.test import TestResponse

from registry.pypi import attestations
from tests.support.evidence import AUTHOR
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel

BIN = Path(sys.executable).parent
SECONDS = 120


def metadata(name: str = "example-plugin", version: str = "1.0.0") -> str:
    """Return a METADATA as build backends write it, with what forms repeat."""
    return (
        f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n"
        "Summary: A small plugin for tests.\nAuthor-Email: Alice <alice@example.com>\n"
        "License-Expression: Apache-2.0\nKeywords: one,two\n"
        "Classifier: Programming Language :: Python :: 3\n"
        "Project-URL: Homepage, https://example.com\nRequires-Python: >=3.11\n"
        "Description-Content-Type: text/markdown\n\n# A plugin\n\n<b>With</b> a description.\n"
    )


@dataclass
class Town:
    """A served registry.

    Attributes:
        registry: the registry behind it.
        url: its address.
        folder: a folder of this test's own.
    """

    registry: RegistryFixture
    url: str
    folder: Path

    def wheel(self, version: str = "1.0.0", name: str = "example-plugin") -> tuple[str, bytes]:
        """Make a wheel with full metadata: its file name and bytes."""
        return make_wheel(name, version, metadata=metadata(name, version))

    def attestation(self, filename: str, wheel: bytes, by: str = AUTHOR) -> dict[str, Any]:
        """Sign a publish attestation."""
        return attestations.from_bundle(self.registry.trust.submit(filename, wheel, by=by))

    def dist(self, filename: str, wheel: bytes, attestation: Any = None) -> Path:
        """Write a wheel, and its attestation where there is one, into a `dist` folder."""
        folder = self.folder / "dist"
        folder.mkdir(exist_ok=True)
        path = folder / filename
        path.write_bytes(wheel)
        if attestation is not None:
            Path(f"{path}.publish.attestation").write_text(json.dumps(attestation))
        return path

    def run(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a tool of the environment, without configuration, cache or proxy of the machine."""
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8"}
        return subprocess.run(
            [str(BIN / tool), *arguments],
            cwd=self.folder,
            env=kept | {"UV_NO_CONFIG": "1", "PIP_CONFIG_FILE": os.devnull, "COLUMNS": "2000"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def uv_publish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `uv publish` on the `dist` folder."""
        return self.run(
            "uv",
            *("--no-progress", "publish", "--publish-url", f"{self.url}/legacy/"),
            *("--username", "__token__", "--password", "none", *arguments, "dist/*"),
        )

    def twine_upload(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `twine upload` on the `dist` folder."""
        return self.run(
            "twine",
            *("upload", "--disable-progress-bar", "--non-interactive"),
            *("--repository-url", f"{self.url}/legacy/", "-u", "__token__", "-p", "none"),
            *arguments,
            *map(str, sorted((self.folder / "dist").iterdir())),
        )


def form(
    filename: str,
    wheel: bytes,
    attestation: Any = None,
    **changes: str | None,
) -> dict[str, Any]:
    """Return an upload's form as tools fill it; `changes` replace fields, None takes them away.

    Underscores at the beginning stand for the colon of `:action`.
    """
    fields: dict[str, Any] = {
        ":action": "file_upload",
        "protocol_version": "1",
        "filetype": "bdist_wheel",
        "pyversion": "py3",
        "content": (io.BytesIO(wheel), filename),
    }
    if attestation is not None:
        fields["attestations"] = json.dumps([attestation])
    fields |= {name.replace("_action", ":action"): value for name, value in changes.items()}
    return {name: value for name, value in fields.items() if value is not None}


def post(registry: RegistryFixture, fields: dict[str, Any], **headers: str) -> TestResponse:
    """Send an upload without a tool between."""
    return registry.client.post(
        "/legacy/",
        data=fields,
        headers={"Accept": "application/json", **headers},
        content_type="multipart/form-data",
    )
