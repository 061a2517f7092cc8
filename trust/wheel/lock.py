"""The plugin's lock file: `pylock.toml` beside `plugin.json` (PEP 751), read strictly.

A plugin may depend on other pure-Python wheels if it names each of them by its SHA-256. The lock
is part of the plugin's own wheel, so whoever signs the wheel signs the digest of every dependency:
evidence about the plugin is evidence about exactly these bytes.

Of what PEP 751 allows only this is taken: named packages with a version and one wheel for
`py3-none-any`; source distributions beside it are never used. Markers are judged for the one
environment that plugins run in, `ENVIRONMENT`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from packaging.markers import Marker
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from trust.errors import Problem, problem
from trust.wheel import bounds
from trust.wheel.model import Dependency

FILE: Final = "pylock.toml"

ENVIRONMENT: Final[Mapping[str, str]] = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.2",
    "python_version": "3.11",
    "sys_platform": "linux",
}
"""What plugins run in, as far as markers may ask (PEP 508)."""

_PURE = frozenset({Tag("py3", "none", "any")})
_VARIABLE = re.compile(r"\b(platform_\w+|implementation_\w+|os_name|sys_platform|python_\w+)\b")
_ADVICE = "lock pure-Python wheels, for instance with `uv export --format pylock.toml`"


class _Unusable(Exception):
    def __init__(self, found: Problem) -> None:
        super().__init__(found.what)
        self.problem = found


def _bad(
    code: str, what: str, value: object, expected: str, where: str, advice: str = _ADVICE
) -> Problem:
    return problem(f"lock.{code}", what, value=value, expected=expected, advice=advice, where=where)


def may_be_in(wheel: bytes) -> bool:
    """Tell whether an archive could have a lock file: paths stand in an archive as they are."""
    return FILE.encode() in wheel


def read_lock(body: bytes, where: str, found: list[Problem]) -> tuple[Dependency, ...]:
    """Read a lock file; what is wrong with it is added to `found`.

    Args:
        body: the file.
        where: its path in the wheel.
        found: gets the problems.

    Returns:
        The dependencies that apply, ordered by name.
    """
    if len(body) > bounds.MAX_LOCK_BYTES:
        most = f"at most {bounds.MAX_LOCK_BYTES} bytes"
        found.append(_bad("too-large", "the lock file is too large", len(body), most, where))
        return ()
    try:
        lock = Pylock.from_dict(tomllib.loads(body.decode("utf-8")))
    except Exception as error:  # noqa: BLE001 - hostile text; whatever fails is a refusal
        found.append(
            _bad("invalid", "the lock file cannot be read", error, "PEP 751, version 1.0", where)
        )
        return ()
    if lock.requires_python is not None and not _runs_here(lock.requires_python):
        what = "the lock file is for another Python"
        expected = f"Python {ENVIRONMENT['python_version']}"
        found.append(_bad("python", what, lock.requires_python, expected, where))
    if lock.extras or lock.dependency_groups:
        what = "the lock file has extras or dependency groups, of which none is ever chosen"
        value = ", ".join([*(lock.extras or ()), *(lock.dependency_groups or ())])
        found.append(_bad("choices", what, value, "packages that are always there", where))
    dependencies: dict[str, Dependency] = {}
    for package in lock.packages:
        try:
            dependency = _dependency(package, where)
        except _Unusable as error:
            found.append(error.problem)
            continue
        if dependency is None:
            continue
        if dependency.name in dependencies:
            what = "the lock file names a package twice"
            found.append(_bad("twice", what, dependency.name, "each package once", where))
        dependencies[dependency.name] = dependency
    if len(dependencies) > bounds.MAX_DEPENDENCIES:
        what, most = "there are too many dependencies", f"at most {bounds.MAX_DEPENDENCIES}"
        found.append(_bad("too-many", what, len(dependencies), most, where))
    return tuple(dependencies[name] for name in sorted(dependencies))


def _runs_here(specifier: SpecifierSet) -> bool:
    return specifier.contains(ENVIRONMENT["python_full_version"])


def applies(marker: Marker | None, where: str, extras: Iterable[str] = ()) -> bool:
    """Tell whether a marker holds where plugins run (PEP 508).

    Args:
        marker: the marker, None holds always.
        where: for the refusal.
        extras: extras that were asked for.

    Raises:
        ValueError: it asks for something that differs between machines.
    """
    if marker is None:
        return True
    text = str(marker)
    unknown = sorted({name for name in _VARIABLE.findall(text) if name not in ENVIRONMENT})
    if unknown:
        raise ValueError(f"{where}: {text} (asks for {', '.join(unknown)})")
    return any(
        marker.evaluate({**ENVIRONMENT, "extra": extra}, context="requirement")
        for extra in ("", *extras)
    )


def _dependency(package: Package, where: str) -> Dependency | None:
    name = str(package.name)
    try:
        if not applies(package.marker, name):
            return None
    except ValueError as error:
        what = "a package's marker cannot be judged once for all machines"
        expected = "a marker on " + ", ".join(sorted(ENVIRONMENT))
        raise _Unusable(_bad("marker", what, error, expected, where)) from error
    for kind in ("vcs", "directory", "archive"):
        if getattr(package, kind) is not None:
            what = f"the package {name} is not locked to a wheel"
            raise _Unusable(_bad("no-wheel", what, kind, "a wheel with its SHA-256", where))
    if package.version is None:
        what = f"the package {name} has no version"
        raise _Unusable(_bad("no-version", what, "none", "a PEP 440 version", where))
    if package.requires_python is not None and not _runs_here(package.requires_python):
        what = f"the package {name} is for another Python"
        expected = f"Python {ENVIRONMENT['python_version']}"
        raise _Unusable(_bad("python", what, package.requires_python, expected, where))
    wheels = [wheel for wheel in package.wheels or () if _is_pure(wheel, package, where)]
    if len(wheels) != 1:
        what = f"the package {name} has no one wheel that runs on every machine"
        listed = ", ".join(_filename(wheel, name, where) for wheel in package.wheels or ())
        expected = "exactly one wheel for py3-none-any"
        raise _Unusable(_bad("no-wheel", what, listed or "no wheel", expected, where))
    filename = _filename(wheels[0], name, where)
    sha256 = wheels[0].hashes.get("sha256", "")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        what = f"the wheel of {name} is not locked by its SHA-256"
        value = ", ".join(wheels[0].hashes) or "no digest"
        raise _Unusable(_bad("no-digest", what, value, "sha256, lower-case hexadecimal", where))
    return Dependency(name, str(package.version), filename, sha256)


def _filename(wheel: PackageWheel, name: str, where: str) -> str:
    try:
        filename = wheel.filename
    except Exception as error:
        what = f"a wheel of {name} has no file name"
        raise _Unusable(_bad("no-filename", what, error, "name, path or url", where)) from error
    if len(filename) > bounds.MAX_FILENAME:
        what = f"a wheel of {name} has a file name that is too long"
        most = f"at most {bounds.MAX_FILENAME} characters"
        raise _Unusable(_bad("filename", what, filename, most, where))
    return filename


def _is_pure(wheel: PackageWheel, package: Package, where: str) -> bool:
    filename = _filename(wheel, str(package.name), where)
    try:
        name, version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        what = "the lock file names a file that is no wheel"
        raise _Unusable(_bad("filename", what, error, "a wheel's file name", where)) from error
    if name != package.name or version != package.version:
        what = "a wheel's file name is that of another package or version"
        expected = f"a wheel of {package.name} {package.version}"
        raise _Unusable(_bad("filename", what, filename, expected, where))
    return bool(tags & _PURE)


def check_requirements(
    requirements: Sequence[str],
    extras: Iterable[str],
    locked: Mapping[str, Dependency],
    where: str,
) -> tuple[list[Problem], dict[str, set[str]]]:
    """Compare what a distribution requires with what is locked.

    Args:
        requirements: its `Requires-Dist` fields.
        extras: the extras of it that were asked for.
        locked: every dependency by its name.
        where: the METADATA file, for the refusal.

    Returns:
        The problems, and for each dependency that it names the extras that it asks for.
    """
    found: list[Problem] = []
    asked: dict[str, set[str]] = {}
    extras = tuple(extras)
    for text in requirements:
        try:
            requirement = Requirement(text)
            if not applies(requirement.marker, text, extras):
                continue
        except (InvalidRequirement, ValueError) as error:
            what = "a requirement cannot be judged once for all machines"
            found.append(_bad("requirement", what, error, "a plain requirement", where))
            continue
        name = canonicalize_name(requirement.name)
        dependency = locked.get(name)
        if requirement.url is not None or dependency is None:
            what = "a requirement is not locked"
            expected = f"a wheel of {name} with its SHA-256 in {FILE}"
            found.append(_bad("not-locked", what, text, expected, where))
        elif not requirement.specifier.contains(dependency.version, prereleases=True):
            what = "a requirement is locked to a version that it does not allow"
            value = f"{name} {dependency.version}"
            found.append(_bad("other-version", what, value, text, where))
        else:
            asked.setdefault(name, set()).update(requirement.extras)
    return found, asked
