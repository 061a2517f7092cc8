"""Plugin wheels made in memory, deterministic: the same call gives the same bytes.

`make_wheel` makes a valid wheel, or one that is wrong in exactly the way that a test asks for.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

SUMMARY = "A small plugin for tests."

SOURCE = '''"""A small plugin for tests."""


def greet(arguments):
    return {"greeting": f"Hello, {arguments['name']}!"}


def echo(arguments):
    return {"value": arguments}
'''

GREET = {
    "callable": "{package}:greet",
    "summary": "Greet somebody.",
    "arguments": {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 100}},
        "required": ["name"],
        "additionalProperties": False,
    },
    "result": {
        "type": "object",
        "properties": {"greeting": {"type": "string"}},
        "required": ["greeting"],
    },
}

ECHO = {
    "callable": "{package}:echo",
    "summary": "Return the arguments as they came.",
    "arguments": {"type": "object"},
    "result": {"type": "object", "required": ["value"]},
}


def make_manifest(name: str = "example-plugin", **changes: Any) -> dict[str, Any]:
    """Return the manifest of the default plugin, with top-level keys replaced by `changes`."""
    package = name.replace("-", "_")
    methods = {
        key: {**method, "callable": str(method["callable"]).format(package=package)}
        for key, method in (("greet", GREET), ("echo", ECHO))
    }
    manifest: dict[str, Any] = {
        "schema_version": 1,
        "name": name,
        "summary": SUMMARY,
        "methods": methods,
        "limits": {},
        "permissions": [],
    }
    return manifest | changes


def _manifest_of(source: str, name: str) -> dict[str, Any]:
    """Return a manifest that offers every public top-level function of `source`.

    Found by their first lines: tests make wheels in threads, and `ast.parse` is not safe there on
    CPython 3.11.7.
    """
    package = name.replace("-", "_")
    methods = {
        function: {
            "callable": f"{package}:{function}",
            "summary": f"Call {function}.",
            "arguments": {"type": "object"},
            "result": {},
        }
        for function in re.findall(r"^def ([A-Za-z]\w*)\(", source, re.MULTILINE)
    }
    return make_manifest(name, methods=methods)


def record_line(path: str, body: bytes) -> str:
    """Return the RECORD line of a member (PEP 427: unpadded URL-safe base64 of SHA-256)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()
    return f"{path},sha256={digest},{len(body)}"


def make_record(members: Mapping[str, bytes], record_path: str) -> bytes:
    """Return a RECORD that lists `members` and itself."""
    lines = [record_line(path, body) for path, body in members.items()]
    return "".join(f"{line}\n" for line in [*lines, f"{record_path},,"]).encode()


def pack(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a ZIP archive of `members`, with a fixed date and mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for path, body in members.items():
            info = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            info.compress_type = compression
            archive.writestr(info, body)
    return buffer.getvalue()


def make_members(
    name: str = "example-plugin",
    version: str = "1.0.0",
    *,
    source: str | None = None,
    files: Mapping[str, bytes | str | None] | None = None,
    manifest: Any = None,
    metadata: str | None = None,
    record: bytes | None = None,
) -> dict[str, bytes]:
    """Return the members of a wheel by path, RECORD last; see `make_wheel`."""
    package = name.replace("-", "_")
    info = f"{package}-{version}.dist-info"
    if manifest is None:
        manifest = make_manifest(name) if source is None else _manifest_of(source, name)
    if not isinstance(manifest, bytes):
        manifest = json.dumps(manifest, indent=2).encode()
    if metadata is None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: {SUMMARY}\n"
    entries: dict[str, bytes | str | None] = {
        f"{package}/__init__.py": SOURCE if source is None else source,
        f"{package}/plugin.json": manifest,
        f"{info}/METADATA": metadata,
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        f"{info}/entry_points.txt": f"[sealgate.plugins]\n{name} = {package}\n",
        **(files or {}),
    }
    members = {
        path: body.encode() if isinstance(body, str) else body
        for path, body in entries.items()
        if body is not None
    }
    path = f"{info}/RECORD"
    if path not in members:
        members[path] = make_record(members, path) if record is None else record
    return members


def make_wheel(
    name: str = "example-plugin",
    version: str = "1.0.0",
    *,
    source: str | None = None,
    files: Mapping[str, bytes | str | None] | None = None,
    manifest: Any = None,
    metadata: str | None = None,
    record: bytes | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> tuple[str, bytes]:
    """Make a plugin's wheel.

    Args:
        name: the plugin's name, normalised; the import package has `_` for `-`.
        version: its version, canonical.
        source: the text of the package's `__init__.py`; without a manifest, every public
            top-level function of it becomes a method that takes any object. A function is called
            with one positional argument, the arguments object.
        files: more members by path from the wheel's root, for example
            `{"example_plugin/data.txt": b"..."}`; one that is already there is replaced, and
            `None` takes it away.
        manifest: the content of `plugin.json`, as data or as bytes.
        metadata: the whole text of METADATA.
        record: the whole content of RECORD, in place of the right one.
        compression: `zipfile.ZIP_DEFLATED` or `zipfile.ZIP_STORED`.

    Returns:
        The file name and the wheel's bytes.
    """
    members = make_members(
        name,
        version,
        source=source,
        files=files,
        manifest=manifest,
        metadata=metadata,
        record=record,
    )
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl", pack(members, compression)
