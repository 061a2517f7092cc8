"""From bytes to a `Plugin`: the parts of the reading in their order.

Everything happens in memory, within the bounds of `trust.wheel.bounds`, and nothing of the wheel
is extracted, imported or executed. A check that cannot be made because an earlier one failed is
left out; every other problem is reported together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from packaging.metadata import Metadata

from trust.errors import Problem, problem
from trust.outcomes import Failed, Passed
from trust.wheel import bounds, content, lock, metadata, record
from trust.wheel.archive import Archive, read_archive
from trust.wheel.manifest import FILE, check_agreement, check_callables, read_manifest
from trust.wheel.model import Dependency, Manifest, Member, Plugin, WheelRejected
from trust.wheel.source import parse_modules


def inspect_wheel(data: bytes, filename: str) -> Passed[Plugin] | Failed:
    """Read a wheel and return the plugin or every structural problem; never raises.

    Args:
        data: the wheel's bytes.
        filename: its file name, without a folder.
    """
    found: list[Problem] = []
    try:
        plugin = _inspect(data, filename, found)
    except Exception as error:  # noqa: BLE001 - hostile input must never raise; a crash is a refusal
        plugin = None
        value = f"{type(error).__name__}: {error}"
        found.append(
            problem(
                "wheel.unreadable",
                "the wheel cannot be read to its end",
                value=value,
                expected="a wheel that the reader understands",
                advice="build the wheel with an unmodified PEP 517 backend",
            )
        )
    if plugin is None or found:
        return Failed(_bounded(found))
    return Passed(plugin)


def read_wheel(data: bytes, filename: str) -> Plugin:
    """Read a wheel.

    Raises:
        WheelRejected: the wheel is not accepted; the error has every problem.
    """
    outcome = inspect_wheel(data, filename)
    if isinstance(outcome, Failed):
        raise WheelRejected(outcome.problems)
    return outcome.value


def read_members(data: bytes) -> Mapping[str, bytes]:
    """Return path -> content of an archive's files, in the archive's order.

    Raises:
        WheelRejected: the archive is not read whole and without a problem.
    """
    archive = read_archive(data)
    if archive.problems:
        raise WheelRejected(_bounded(archive.problems))
    return archive.contents


def _inspect(data: bytes, filename: str, found: list[Problem]) -> Plugin | None:
    name = metadata.parse_filename(filename, found)
    archive = read_archive(data)
    found += archive.problems
    if name is None or not archive.paths:
        return None
    folder = f"{name.stem}.dist-info"
    found += content.check_paths(archive.paths)
    found += content.check_contents(archive.contents)
    found += metadata.check_dist_info(archive.paths, folder)
    modules = parse_modules(archive.contents, found)
    manifest: Manifest | None = None
    package: str | None = None
    core: Metadata | None = None
    locked: tuple[Dependency, ...] = ()
    if any(path.startswith(f"{folder}/") for path in archive.paths):
        if archive.complete:
            found += record.check_record(archive.contents, archive.paths, folder)
        found += metadata.check_wheel_file(archive.contents, folder)
        core = metadata.check_metadata(archive.contents, folder, name, found)
        package = metadata.check_entry_points(archive.contents, folder, name, found)
        manifest = _manifest(archive, package, found) if package else None
        if manifest is not None and package is not None:
            where = f"{package}/{FILE}"
            locked = _lock(archive, package, core, f"{folder}/METADATA", found)
            found += check_callables(manifest, package, modules, where)
            if core is not None:
                found += check_agreement(
                    manifest, name=name.name, summary=core.summary, where=where
                )
    found += content.check_layout(archive.paths, folder, package)
    if package is not None:
        found += content.check_top_level(archive.contents, folder, package)
    if manifest is None or package is None or core is None or found:
        return None
    return Plugin(
        name=name.name,
        version=name.version,
        filename=filename,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        package=package,
        manifest=manifest,
        summary=manifest.summary,
        members=tuple(
            Member(path, len(body), hashlib.sha256(body).hexdigest())
            for path, body in archive.contents.items()
        ),
        dependencies=locked,
        requirements=tuple(map(str, core.requires_dist or ())),
    )


def _lock(
    archive: Archive, package: str, core: Metadata | None, where: str, found: list[Problem]
) -> tuple[Dependency, ...]:
    """Read the lock file and compare what METADATA requires with it."""
    place = f"{package}/{lock.FILE}"
    locked: tuple[Dependency, ...] = ()
    if place in archive.contents:
        locked = lock.read_lock(archive.contents[place], place, found)
    if core is not None:
        names = {dependency.name: dependency for dependency in locked}
        found += lock.check_requirements(
            [str(requirement) for requirement in core.requires_dist or ()], (), names, where
        )[0]
    return locked


def _manifest(archive: Archive, package: str, found: list[Problem]) -> Manifest | None:
    where = f"{package}/{FILE}"
    body = archive.contents.get(where)
    if body is not None:
        return read_manifest(body, where, found)
    if where not in archive.paths:
        others = sorted(path for path in archive.paths if path.endswith(f"/{FILE}"))
        found.append(
            problem(
                "manifest.missing",
                "the plugin's package has no manifest",
                value=", ".join(others) or "none",
                expected=where,
                advice="put plugin.json beside the package's __init__.py and build the wheel again",
                where=where,
            )
        )
    return None


def _bounded(found: list[Problem] | tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Cut a long list; a hostile wheel may have tens of thousands of problems."""
    unique = list(dict.fromkeys(found))
    if len(unique) <= bounds.MAX_PROBLEMS:
        return tuple(unique)
    rest = len(unique) - bounds.MAX_PROBLEMS
    more = problem(
        "wheel.more-problems",
        "there are more problems than are listed",
        value=f"{rest} more",
        expected="no problem",
        advice="correct those that are listed and check again",
    )
    return (*unique[: bounds.MAX_PROBLEMS], more)
