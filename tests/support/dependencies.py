"""Libraries and plugins that lock them, made in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from tests.support.wheels import make_record, make_wheel, pack
from trust.wheel import Dependency

SOURCE = '''"""A plugin that uses a library."""

import shouting


def shout(arguments):
    return {"text": shouting.loud(arguments["text"]), "from": shouting.__file__}
'''

LIBRARY = '''"""Say it louder."""


def loud(text):
    return text.upper() + "!"
'''


def make_library(
    name: str = "shouting",
    version: str = "2.0",
    *,
    files: Mapping[str, str | bytes] | None = None,
    metadata: Sequence[str] = (),
    tag: str = "py3-none-any",
) -> tuple[Dependency, bytes]:
    """Return a library's wheel and the line of a lock that names it."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *metadata, ""]
    entries: dict[str, str | bytes] = {
        f"{module}/__init__.py": LIBRARY,
        f"{info}/METADATA": "\n".join(lines),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: {tag}\n",
        **(files or {}),
    }
    members = {path: v.encode() if isinstance(v, str) else v for path, v in entries.items()}
    members[f"{info}/RECORD"] = make_record(members, f"{info}/RECORD")
    data = pack(members)
    filename = f"{module}-{version}-{tag}.whl"
    return Dependency(name, version, filename, hashlib.sha256(data).hexdigest()), data


def lock_of(dependencies: Sequence[Dependency], *, more: str = "", each: str = "") -> str:
    """Return a `pylock.toml`; `more` goes to its top, `each` into every package."""
    packages = "".join(
        f'[[packages]]\nname = "{item.name}"\nversion = "{item.version}"\n{each}\n'
        f'[[packages.wheels]]\nname = "{item.filename}"\n'
        f'url = "https://files.example/{item.filename}"\n'
        f'hashes = {{sha256 = "{item.sha256}"}}\n'
        for item in dependencies
    )
    return f'lock-version = "1.0"\ncreated-by = "tests"\n{more}\n{packages}'


def make_dependent(
    dependencies: Sequence[Dependency],
    *,
    name: str = "shouter",
    version: str = "1.0.0",
    requires: Sequence[str] = (),
    lock: str | None = None,
    source: str = SOURCE,
) -> tuple[str, bytes]:
    """Return a plugin's wheel that locks `dependencies`."""
    package = name.replace("-", "_")
    text = lock_of(dependencies) if lock is None else lock
    head = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        "Summary: A small plugin for tests.",
    ]
    metadata = "\n".join([*head, *(f"Requires-Dist: {item}" for item in requires), ""])
    return make_wheel(
        name, version, source=source, files={f"{package}/pylock.toml": text}, metadata=metadata
    )
