"""The wheels that a plugin's lock file names: read as strictly as the plugin's own.

A dependency is a library, so it may have several top-level packages or modules and entry points
(nobody installs it, so nothing acts on them). Everything else holds as for a plugin: pure Python
that a reviewer can read, no archive tricks, RECORD complete, METADATA that agrees with the file
name, nothing that shadows the standard library, the plugin or another dependency, and no
requirement that is not locked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from packaging.metadata import parse_email
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from trust.errors import Problem, problem
from trust.outcomes import Failed, Passed
from trust.wheel import bounds, content, lock, record
from trust.wheel.archive import read_archive
from trust.wheel.model import Dependency, Member, Plugin

_ADVICE = "lock another version of it, or leave it out"


@dataclass(frozen=True, slots=True)
class DependencyWheel:
    """A locked wheel that was read whole and accepted.

    Attributes:
        dependency: what the lock says of it.
        size: its length in bytes.
        tops: its top-level packages and modules.
        members: every file, in the order of the archive.
        requirements: its `Requires-Dist` fields.
        license: its licence as METADATA has it, "" where it has none.
        summary: one line for people.
    """

    dependency: Dependency
    size: int
    tops: frozenset[str]
    members: tuple[Member, ...]
    requirements: tuple[str, ...]
    license: str = ""
    summary: str = ""


def _bad(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(
        f"dependency.{code}", what, value=value, expected=expected, advice=_ADVICE, where=where
    )


def inspect_dependency(data: bytes, dependency: Dependency) -> Passed[DependencyWheel] | Failed:
    """Read a locked wheel and return it or every problem; never raises.

    Args:
        data: the wheel's bytes.
        dependency: what the lock says of it.
    """
    found: list[Problem] = []
    wheel: DependencyWheel | None = None
    try:
        wheel = _inspect(data, dependency, found)
    except Exception as error:  # noqa: BLE001 - hostile input must never raise; a crash is a refusal
        value = f"{type(error).__name__}: {error}"
        found.append(_bad("unreadable", "the wheel cannot be read", value, "a wheel", ""))
    if found or wheel is None:
        return Failed(tuple(_within(dependency, item) for item in found[: bounds.MAX_PROBLEMS]))
    return Passed(wheel)


def _within(dependency: Dependency, found: Problem) -> Problem:
    where = f"{dependency.filename}/{found.where}" if found.where else dependency.filename
    return problem(
        found.code,
        found.what,
        value=found.value,
        expected=found.expected,
        advice=found.advice,
        where=where,
    )


def _inspect(data: bytes, dependency: Dependency, found: list[Problem]) -> DependencyWheel | None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != dependency.sha256:
        what = "the wheel is another file than the lock names"
        found.append(_bad("digest", what, f"sha256:{digest}", f"sha256:{dependency.sha256}", ""))
        return None
    archive = read_archive(data)
    found += archive.problems
    if not archive.complete:
        return None
    folders = {path.split("/")[0] for path in archive.paths if "/" in path}
    infos = sorted(name for name in folders if name.endswith(".dist-info"))
    if len(infos) != 1 or not _names(infos[0], dependency):
        what = "the wheel has no .dist-info folder of its own, or several"
        expected = f"{dependency.name}-{dependency.version}.dist-info"
        found.append(_bad("dist-info", what, ", ".join(infos) or "none", expected, ""))
        return None
    info = infos[0]
    found += content.check_paths(archive.paths)
    found += content.check_contents(archive.contents)
    found += record.check_record(archive.contents, archive.paths, info)
    found += _check_wheel_file(archive.contents, info)
    tops = _tops(archive.paths, info, found)
    core, _ = parse_email(archive.contents.get(f"{info}/METADATA", b""))
    found += _check_metadata(str(core.get("name", "")), str(core.get("version", "")), dependency)
    return DependencyWheel(
        dependency,
        len(data),
        tops,
        tuple(
            Member(path, len(body), hashlib.sha256(body).hexdigest())
            for path, body in archive.contents.items()
        ),
        tuple(core.get("requires_dist", ())),
        str(core.get("license_expression") or core.get("license") or "")[:200],
        str(core.get("summary") or "")[:200],
    )


def _names(folder: str, dependency: Dependency) -> bool:
    """Tell whether a .dist-info folder is that of the dependency."""
    try:
        name, version, _, _ = parse_wheel_filename(
            folder.removesuffix(".dist-info") + "-py3-none-any.whl"
        )
    except InvalidWheelFilename:
        return False
    return name == dependency.name and version == Version(dependency.version)


def _check_wheel_file(contents: Mapping[str, bytes], info: str) -> list[Problem]:
    where = f"{info}/WHEEL"
    lines = [line.strip().lower() for line in contents.get(where, b"").decode().splitlines()]
    if "root-is-purelib: true" in lines and "tag: py3-none-any" in lines:
        return []
    what = "WHEEL does not say that the wheel is pure Python"
    value = "; ".join(lines)[:200] or "no such file"
    return [_bad("not-pure", what, value, "Root-Is-Purelib: true, Tag: py3-none-any", where)]


def _check_metadata(name: str, version: str, dependency: Dependency) -> list[Problem]:
    try:
        same = canonicalize_name(name) == dependency.name and Version(version) == Version(
            dependency.version
        )
    except InvalidVersion:
        same = False
    if same:
        return []
    what = "METADATA is that of another package or version"
    expected = f"{dependency.name} {dependency.version}"
    return [_bad("metadata", what, f"{name} {version}", expected, "METADATA")]


def _tops(paths: Collection[str], info: str, found: list[Problem]) -> frozenset[str]:
    """Return the top-level names; those that nobody may have are problems."""
    tops = set()
    for path in sorted(paths):
        top, _, rest = path.partition("/")
        if top == info:
            continue
        name = top if rest else top.removesuffix(".py")
        if top.endswith(".data") or not name.isidentifier() or (not rest and name == top):
            what = "the wheel has a file outside of its packages and modules"
            found.append(_bad("outside", what, path, "Python packages and modules", path))
        elif name in content.RESERVED:
            what = "the wheel has a module that would stand for one of Python's own"
            found.append(_bad("reserved", what, name, "a name that is not Python's own", path))
        else:
            tops.add(name)
    return frozenset(tops)


def inspect_dependencies(
    plugin: Plugin, wheels: Mapping[str, bytes]
) -> Passed[tuple[DependencyWheel, ...]] | Failed:
    """Read every wheel that a plugin's lock names; never raises.

    Args:
        plugin: the plugin.
        wheels: SHA-256 -> bytes; what the lock does not name is not looked at.

    Returns:
        The wheels in the lock's order, or every problem: one is missing, not accepted, too large
        with the others, shadows another, or requires what is not locked.
    """
    found: list[Problem] = []
    read: list[DependencyWheel] = []
    for dependency in plugin.dependencies:
        data = wheels.get(dependency.sha256)
        if data is None:
            what = f"the wheel of the dependency {dependency.name} is not at hand"
            expected = f"{dependency.filename} sha256:{dependency.sha256}"
            found.append(
                problem(
                    "dependency.missing",
                    what,
                    value="no such file",
                    expected=expected,
                    advice="hand the locked wheels over together with the plugin",
                    where=lock.FILE,
                )
            )
            continue
        outcome = inspect_dependency(data, dependency)
        if isinstance(outcome, Failed):
            found += outcome.problems
        else:
            read.append(outcome.value)
    total = plugin.size + sum(wheel.size for wheel in read)
    if total > bounds.MAX_CLOSURE_BYTES:
        what = "the plugin and its dependencies together are too large"
        most = f"at most {bounds.MAX_CLOSURE_BYTES} bytes"
        found.append(_bad("too-large", what, f"{total} bytes", most, ""))
    if not found:
        found += _shadows(plugin, read) + _requirements(plugin, read)
    return Failed(tuple(found)) if found else Passed(tuple(read))


def _shadows(plugin: Plugin, wheels: list[DependencyWheel]) -> list[Problem]:
    owners = {plugin.package: plugin.filename}
    found = []
    for wheel in wheels:
        for top in sorted(wheel.tops):
            other = owners.setdefault(top, wheel.dependency.filename)
            if other != wheel.dependency.filename:
                what = "two wheels have a top-level module of one name"
                expected = f"the module is that of {other}"
                found.append(_bad("shadows", what, top, expected, wheel.dependency.filename))
    return found


def _requirements(plugin: Plugin, wheels: list[DependencyWheel]) -> list[Problem]:
    """Every requirement of every wheel is locked, with the extras that were asked for."""
    locked = {wheel.dependency.name: wheel for wheel in wheels}
    names = {dependency.name: dependency for dependency in plugin.dependencies}
    extras: dict[str, set[str]] = {name: set() for name in locked}
    found: dict[Problem, None] = {}
    _, asked = lock.check_requirements(plugin.requirements, (), names, plugin.filename)
    waiting = list(locked)
    _merge(asked, extras, waiting)
    while waiting:
        wheel = locked[waiting.pop()]
        where = f"{wheel.dependency.filename}/METADATA"
        wrong, asked = lock.check_requirements(
            wheel.requirements, extras[wheel.dependency.name], names, where
        )
        found.update(dict.fromkeys(wrong))
        _merge(asked, extras, waiting)
    return list(found)


def _merge(asked: Mapping[str, set[str]], extras: dict[str, set[str]], waiting: list[str]) -> None:
    for name, more in asked.items():
        if not more <= extras[name]:
            extras[name] |= more
            waiting.append(name)
