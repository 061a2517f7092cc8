"""The plugin's wheel around adopted functions: the same inputs give the same bytes.

It has the adapters, the manifest, the lock file that names the adopted wheel and what it requires,
and `adopted.json`, which says where they came from. Not one line of the adopted wheel is in it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from sealgate.adopt.methods import Adopted
from sealgate.adopt.provenance import Attested
from sealgate.adopt.resolve import Locked, lock_file
from trust.wheel.record import digest_of

_DATE = (1980, 1, 1, 0, 0, 0)


def build(
    name: str,
    own: Locked,
    rest: Sequence[Locked],
    methods: Sequence[Adopted],
    attested: Sequence[Attested],
) -> tuple[str, bytes]:
    """Return the file name and the bytes of the plugin's wheel.

    Args:
        name: the plugin's name, normalised.
        own: the adopted wheel.
        rest: the wheels that it requires.
        methods: the functions that become methods.
        attested: who published the adopted wheel; empty where nothing says so.
    """
    release = own.dependency
    summary = f"Functions of {release.name} {release.version}."
    package = name.replace("-", "_")
    info = f"{package}-{release.version}.dist-info"
    manifest = {
        "schema_version": 1,
        "name": name,
        "summary": summary,
        "methods": {
            item.name: {
                "callable": f"{package}:{item.name}",
                "summary": item.summary,
                "arguments": item.arguments,
                "result": item.result,
            }
            for item in methods
        },
        "limits": {},
        "permissions": [],
    }
    members = {
        f"{package}/__init__.py": _adapters(release.name, release.version, methods),
        f"{package}/plugin.json": _json(manifest),
        f"{package}/pylock.toml": lock_file([own, *rest]),
        f"{package}/adopted.json": _json(_origin(own, attested)),
        f"{info}/METADATA": (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {release.version}\n"
            f"Summary: {summary}\nRequires-Dist: {release.name}=={release.version}\n"
        ),
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: sealgate-adopt\nRoot-Is-Purelib: true\n"
            "Tag: py3-none-any\n"
        ),
        f"{info}/entry_points.txt": f"[sealgate.plugins]\n{name} = {package}\n",
    }
    record = f"{info}/RECORD"
    lines = [_record(path, text.encode()) for path, text in members.items()]
    members[record] = "".join([*lines, f"{record},,\n"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in members.items():
            entry = zipfile.ZipInfo(path, _DATE)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text.encode())
    return f"{package}-{release.version}-py3-none-any.whl", buffer.getvalue()


def _adapters(name: str, version: str, methods: Sequence[Adopted]) -> str:
    imports = sorted({item.module for item in methods})
    aliases = {module: f"_adopted_{number}" for number, module in enumerate(imports)}
    lines = [f'"""Functions of {name} {version} as methods of a plugin."""', ""]
    lines += [f"import {module} as {alias}" for module, alias in aliases.items()]
    for item in methods:
        call = f"{aliases[item.module]}.{item.function}(**arguments)"
        lines += ["", "", f"def {item.name}(arguments):", f"    return {call}"]
    return "\n".join(lines) + "\n"


def _origin(own: Locked, attested: Sequence[Attested]) -> Mapping[str, Any]:
    line = own.dependency
    return {
        "project": line.name,
        "version": line.version,
        "filename": line.filename,
        "sha256": line.sha256,
        "attestations": [
            {"predicateType": item.predicate_type, "signer": item.signer.as_dict()}
            for item in attested
        ],
    }


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _record(path: str, body: bytes) -> str:
    return f"{path},{digest_of(body)},{len(body)}\n"
