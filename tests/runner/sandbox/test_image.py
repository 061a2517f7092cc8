"""The runtime image: what is in it, and that building it again makes the very same."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from runner.sandbox import SandboxUnavailable, image, rootfs
from runner.sandbox.engine import Engine

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def layer(image_id: str) -> tarfile.TarFile:
    """The image's one layer."""
    data = b"".join(Engine().client.get_image(image_id))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        layers = [m for m in archive.getmembers() if m.name.endswith("layer.tar")]
        assert len(layers) == 1
        found = archive.extractfile(layers[0])
        assert found is not None
        return tarfile.open(fileobj=io.BytesIO(found.read()))


@pytest.fixture(scope="module")
def members(layer: tarfile.TarFile) -> list[tarfile.TarInfo]:
    """Every member of the image's file system."""
    return layer.getmembers()


def test_nothing_but_python_and_the_harness(members: list[tarfile.TarInfo]) -> None:
    names = {member.name for member in members}
    programs = {
        m.name for m in members if m.name.startswith(("bin/", "sbin/", "usr/bin/", "usr/sbin/"))
    }
    assert all(name.startswith("usr/bin/python3") for name in programs)
    assert {"sealgate/start.py", "sealgate/_sealgate_harness/supervisor.py"} <= names
    assert any(n.startswith("sealgate/_sealgate_harness/__pycache__/supervisor") for n in names)
    assert any(n.startswith("usr/lib/python3.") and n.endswith("/json/__init__.py") for n in names)
    assert any(n.endswith("/copyright") for n in names)
    assert not any("dist-packages/" in n or n.endswith("/test/__init__.py") for n in names)


def test_no_container_compiles_what_the_image_has(layer: tarfile.TarFile) -> None:
    """Each source has bytecode, and it is of the kind that is taken as it is (PEP 552)."""
    names = set(layer.getnames())
    sources = {n for n in names if n.startswith("usr/lib/python3.") and n.endswith(".py")}
    for source in sources | {n for n in names if n.startswith("sealgate/_") and n.endswith(".py")}:
        folder, _, name = source.rpartition("/")
        found = [n for n in names if n.startswith(f"{folder}/__pycache__/{name[:-3]}.cpython-")]
        assert len(found) == 1, source
        bytecode = layer.extractfile(found[0])
        assert bytecode is not None
        assert int.from_bytes(bytecode.read(8)[4:], "little") == 0b01, source


def test_everything_is_roots_and_nothing_is_setuid(members: list[tarfile.TarInfo]) -> None:
    writable = {"tmp", "var/tmp"}
    for member in members:
        assert (member.uid, member.gid) == (0, 0)
        assert member.mtime == image.EPOCH
        assert not member.mode & 0o6000, member.name
        if member.name not in writable and not member.issym():
            assert not member.mode & 0o022, member.name
        assert member.isreg() or member.isdir() or member.issym() or member.islnk()


def test_its_configuration(image_id: str) -> None:
    config = Engine().client.inspect_image(image_id)["Config"]
    assert config["User"] == "65534:65534"
    assert config["Entrypoint"] == list(image.ENTRYPOINT)
    assert not config["Env"] or config["Env"] == ["PATH="]
    assert config["Labels"][image.LABEL_HARNESS] == image.harness_digest()


def test_ensure_uses_what_there_is(image_id: str) -> None:
    said: list[str] = []
    assert image.ensure(Engine().client, said.append) == image_id
    assert said == []


@pytest.mark.slow
def test_building_again_makes_the_same_image(image_id: str) -> None:
    said: list[str] = []
    assert image.build(Engine().client, said.append) == image_id
    assert len(said) >= 3


def test_the_host_cannot_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SandboxUnavailable) as refusal:
        image.build(Engine().client)
    assert "uid 1000" in refusal.value.problem.value
    assert "deploy/Dockerfile" in refusal.value.problem.advice
    assert image.harness_digest() in refusal.value.problem.advice


def test_a_build_that_fails_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "PACKAGES", ("no-such-package-anywhere",))
    with pytest.raises(SandboxUnavailable) as refusal:
        image.build(Engine().client)
    assert refusal.value.problem.code == "sandbox.image-build"
    assert "mmdebstrap" in refusal.value.problem.what


def test_packages_that_nobody_signed_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """apt's verification is on: an archive without a signature stops the build."""
    release = tmp_path / "dists" / "bookworm"
    (release / "main" / "binary-amd64").mkdir(parents=True)
    (release / "main" / "binary-amd64" / "Packages").write_bytes(b"")
    (release / "Release").write_text("Origin: Nobody\nSuite: bookworm\n")
    source = f"deb copy://{tmp_path} bookworm main\n"
    monkeypatch.setattr(image, "apt_sources", lambda: ("bookworm", source))
    with pytest.raises(SandboxUnavailable) as refusal:
        image.build(Engine().client)
    assert refusal.value.problem.code == "sandbox.image-build"
    assert "not signed" in refusal.value.problem.value


def test_apt_sources_never_trust_without_a_signature() -> None:
    release, lines = image.apt_sources()
    assert release
    for line in lines.splitlines():
        assert line.startswith("deb ")
        assert "trusted=" not in line


def test_the_harness_digest_covers_every_source(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.harness_digest()
    sources = image.harness_sources()
    assert {"protocol.py", "supervisor.py", "worker.py", "start.py"} <= set(sources)
    for name in sources:
        changed = {**sources, name: sources[name] + b"#"}
        monkeypatch.setattr(image, "harness_sources", lambda changed=changed: changed)
        assert image.harness_digest() != before


def test_the_dockerfile_follows_the_same_list(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    for name in (
        "usr/bin/python3.11",
        "usr/bin/dash",
        "usr/lib/python3.11/json/__init__.py",
        "usr/lib/x86_64-linux-gnu/libc.so.6",
        "usr/lib/x86_64-linux-gnu/perl/base.pm",
        "usr/share/doc/libc6/copyright",
        "usr/share/doc/libc6/changelog.gz",
        "sealgate/start.py",
        "etc/shadow",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    (root / "lib").symlink_to("usr/lib")
    assert rootfs.copy_kept(root, out) == 6
    assert (out / "lib").is_symlink()
    assert not (out / "usr/bin/dash").exists()
    assert not (out / "etc/shadow").exists()
    dockerfile = (Path(__file__).parents[3] / "deploy" / "Dockerfile").read_text()
    for path in rootfs.PRUNED:
        assert path.removeprefix("/usr/lib/") in dockerfile
    assert image.COMPILE.split(" --")[0] in dockerfile
    assert ", ".join(f'"{word}"' for word in image.ENTRYPOINT) in dockerfile
    assert f"USER {image.USER}" in dockerfile
