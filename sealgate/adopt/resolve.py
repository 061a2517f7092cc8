"""Which wheels a project needs: pip resolves them, and what it brought is read and locked."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from trust.errors import SealgateError, problem
from trust.outcomes import Failed
from trust.wheel import Dependency, DependencyWheel, inspect_dependency
from trust.wheel.lock import ENVIRONMENT

SECONDS: Final = 300.0
"""The longest that pip may take."""


class NotAdopted(SealgateError):
    """The wheel cannot be made a plugin."""


@dataclass(frozen=True, slots=True)
class Locked:
    """One wheel that was resolved: its bytes, and what was read of it."""

    data: bytes
    wheel: DependencyWheel

    @property
    def dependency(self) -> Dependency:
        """The line of the lock."""
        return self.wheel.dependency


def parse(text: str) -> tuple[str, str]:
    """Read `NAME==VERSION`; return both normalised (PEP 503, PEP 440).

    Raises:
        NotAdopted: it has another form.
    """
    name, separator, version = text.partition("==")
    try:
        if not separator or not name:
            raise InvalidVersion(text)
        return canonicalize_name(name.strip(), validate=True), str(Version(version.strip()))
    except ValueError as error:
        raise NotAdopted(
            problem(
                "adopt.release",
                "this names no release",
                value=text,
                expected="NAME==VERSION",
                advice="name exactly one version: what is adopted is one file",
            )
        ) from error


def resolve(
    name: str, version: str, folder: Path, options: Sequence[str]
) -> tuple[Locked, list[Locked]]:
    """Let pip download a release and all that it requires, and read every wheel.

    Nothing of the wheels is installed or executed.

    Args:
        name: the project, normalised.
        version: canonical.
        folder: where the wheels are put.
        options: more of pip's options, such as where to look.

    Returns:
        The release's own wheel, and those that it requires, ordered by name.

    Raises:
        NotAdopted: pip found no set of pure-Python wheels, or one of them is not accepted.
    """
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
        "--no-input", "--only-binary=:all:", "--implementation", "py", "--abi", "none",
        "--platform", "any", "--python-version", ENVIRONMENT["python_version"],
        "--dest", str(folder), *options, f"{name}=={version}",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _unresolved(name, version, error) from error
    if done.returncode:
        raise _unresolved(name, version, done.stderr.strip().splitlines()[-1:] or "no reason")
    found = [_read(path) for path in sorted(folder.glob("*.whl"))]
    own = [item for item in found if item.dependency.name == name]
    if len(own) != 1:
        raise _unresolved(name, version, f"{len(own)} wheels of it")
    rest = [item for item in found if item.dependency.name != name]
    return own[0], sorted(rest, key=lambda item: item.dependency.name)


def _unresolved(name: str, version: str, value: object) -> NotAdopted:
    return NotAdopted(
        problem(
            "adopt.unresolved",
            "there is no set of pure-Python wheels for this release",
            value=value,
            expected=f"{name} {version} and all that it requires as py3-none-any wheels",
            advice="choose another version, or name where the wheels are with --index or --wheels",
        )
    )


def _read(path: Path) -> Locked:
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except InvalidWheelFilename as error:
        raise _unresolved(path.name, "", error) from error
    data = path.read_bytes()
    line = Dependency(name, str(version), path.name, hashlib.sha256(data).hexdigest())
    outcome = inspect_dependency(data, line)
    if isinstance(outcome, Failed):
        raise NotAdopted(outcome.problems)
    return Locked(data, outcome.value)


def lock_file(wheels: Sequence[Locked]) -> str:
    """Return the `pylock.toml` (PEP 751) that names these wheels, ordered by name.

    Names, versions, file names and digests were parsed: none of them has a character that TOML
    would need escaped.
    """
    parts = ['lock-version = "1.0"\ncreated-by = "sealgate adopt"\n']
    for item in sorted(wheels, key=lambda each: each.dependency.name):
        line = item.dependency
        parts.append(
            f'\n[[packages]]\nname = "{line.name}"\nversion = "{line.version}"\n'
            f'wheels = [{{name = "{line.filename}", url = "https://pypi.org/simple/{line.name}/'
            f'{line.filename}", hashes = {{sha256 = "{line.sha256}"}}}}]\n'
        )
    return "".join(parts)
