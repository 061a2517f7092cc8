"""A runner that takes its plugins from a mirror: a folder, or a static file server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sealgate.commands.export import NotExported, write
from sealgate.registry_client import Release as Name
from tests.runner.kit import NAME, Release, Site, assert_refused
from tests.support import servers
from tests.support.evidence import sha256


def export(folder: Path, release: Release) -> None:
    """Write a release into a mirror, as `sealgate export` does."""
    bundles = {f"{n}.sigstore.json": data for n, data in enumerate(release.bundles)}
    entry = {
        "version": release.version,
        "filename": release.filename,
        "sha256": sha256(release.wheel),
        "bundles": [{"filename": n, "sha256": sha256(data)} for n, data in bundles.items()],
        "dependencies": [],
    }
    files = {release.filename: release.wheel, **bundles}
    write(folder / release.name, Name(release.name, release.version), entry, files)


@pytest.fixture
def mirror(site: Site, tmp_path: Path) -> Path:
    """A mirror with the site's release; the registry is gone."""
    folder = tmp_path / "mirror"
    export(folder, site.registry.releases[NAME, "1.0.0"])
    site.registry.down = True
    site.policy["registry"] = f"mirror+file://{folder}"
    return folder


@pytest.fixture
def served(mirror: Path) -> Iterator[str]:
    """The mirror behind a static file server."""
    with servers.folder(mirror) as address:
        yield f"mirror+{address}"


def test_a_runner_without_a_network_runs_from_a_folder(site: Site, mirror: Path) -> None:
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"
        assert calls.call(version=None)["status"] == "ok"
    assert site.registry.requests == []


def test_any_static_file_server_is_a_mirror(site: Site, served: str) -> None:
    site.policy["registry"] = served
    with site.runner() as calls:
        assert calls.call()["status"] == "ok"


def test_versions_are_added_and_never_replaced(site: Site, mirror: Path) -> None:
    export(mirror, site.release("1.1.0"))
    with pytest.raises(NotExported) as refused:
        export(mirror, site.release("1.0.0", files={"example_plugin/more.txt": "x"}))
    assert refused.value.problem.code == "export.other-bytes"
    with site.runner() as calls:
        reply = calls.call(version=None)
    assert reply["evidence"]["version"] == "1.1.0"


def wheel(mirror: Path) -> Path:
    return next(mirror.rglob("*.whl"))


def alter_wheel(mirror: Path) -> None:
    wheel(mirror).write_bytes(wheel(mirror).read_bytes()[:-1] + b"\1")


def alter_bundle(mirror: Path) -> None:
    bundle = next(mirror.rglob("*.sigstore.json"))
    bundle.write_bytes(bundle.read_bytes() + b" ")


def drop_bundle(mirror: Path) -> None:
    index = mirror / NAME / "index.json"
    document = json.loads(index.read_text())
    document["versions"][0]["bundles"].pop(2)
    index.write_text(json.dumps(document))


def lead_outside(mirror: Path) -> None:
    index = mirror / NAME / "index.json"
    index.write_text(index.read_text().replace("0.sigstore.json", "../../../etc/passwd"))


def rename(mirror: Path) -> None:
    index = mirror / NAME / "index.json"
    index.write_text(index.read_text().replace(f'"name": "{NAME}"', '"name": "other"'))


def lose_index(mirror: Path) -> None:
    (mirror / NAME / "index.json").unlink()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (alter_wheel, "mirror.malformed"),
        (alter_bundle, "mirror.malformed"),
        (drop_bundle, "gate.refused"),
        (lead_outside, "mirror.malformed"),
        (rename, "mirror.malformed"),
        (lose_index, "mirror.file"),
    ],
)
def test_a_mirror_that_was_tampered_with_runs_nothing(
    site: Site, mirror: Path, change: Callable[[Path], None], code: str
) -> None:
    change(mirror)
    with site.runner() as calls:
        assert_refused(site, calls.call(), code)
