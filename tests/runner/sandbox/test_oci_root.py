"""The exported root: nothing but the pinned image's content is ever used, at no start."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.sandbox import SandboxUnavailable
from runner.sandbox.image import LABEL_HARNESS
from runner.sandbox.oci.root import open_root

FILES = {"etc/passwd": b"nobody\n", "usr/bin/python3": b"\x7fELF" + bytes(5000)}
FOLDERS = ("etc", "usr", "usr/bin", "tmp")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files of root")


def layer(*extra: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in FOLDERS:
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(info)
        for name, content in FILES.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755 if "bin" in name else 0o644
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("usr/bin/python")
        link.type, link.linkname = tarfile.SYMTYPE, "python3"
        archive.addfile(link)
        for info, content in extra:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@dataclass
class Image:
    """An image as `docker save` hands it out."""

    config: bytes
    layers: list[bytes]
    asked: int = 0

    @classmethod
    def make(cls, *layers: bytes) -> Image:
        document = {
            "config": {"Entrypoint": ["/usr/bin/python3", "x"], "Labels": {LABEL_HARNESS: "h"}},
            "rootfs": {
                "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
            },
        }
        return cls(json.dumps(document).encode(), list(layers))

    @property
    def id(self) -> str:
        return f"sha256:{hashlib.sha256(self.config).hexdigest()}"

    def archive(self) -> list[bytes]:
        self.asked += 1
        names = [f"{n}/layer.tar" for n in range(len(self.layers))]
        manifest = [{"Config": "c.json", "Layers": names}]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            parts = {"manifest.json": json.dumps(manifest).encode(), "c.json": self.config}
            for name, content in {**parts, **dict(zip(names, self.layers, strict=True))}.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return [buffer.getvalue()]


@pytest.fixture
def image() -> Image:
    return Image.make(layer())


def place(folder: Path, image: Image) -> Path:
    return folder / image.id.removeprefix("sha256:")


def test_it_is_exported_once_and_is_the_images(tmp_path: Path, image: Image) -> None:
    root = open_root(tmp_path / "images", image.id, image.archive)
    assert (root.command, root.harness) == (("/usr/bin/python3", "x"), "h")
    assert {name: (root.path / name).read_bytes() for name in FILES} == FILES
    assert (root.path / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root.path / "usr/bin/python").readlink() == Path("python3")
    assert (tmp_path / "images").stat().st_mode & 0o777 == 0o700
    assert open_root(tmp_path / "images", image.id, image.archive) == root
    assert image.asked == 1
    assert [f.name for f in (tmp_path / "images").iterdir()] == [place(tmp_path, image).name]


def replace_file(root: Path) -> None:
    (root / "etc/passwd").write_bytes(b"nobodY\n")


def delete_file(root: Path) -> None:
    (root / "etc/passwd").unlink()


def add_file(root: Path) -> None:
    (root / "usr/bin/sh").write_bytes(b"")


def add_folder(root: Path) -> None:
    (root / "usr/lib").mkdir()


def make_writable(root: Path) -> None:
    (root / "usr").chmod(0o777)


def make_setuid(root: Path) -> None:
    (root / "usr/bin/python3").chmod(0o4755)


def give_away(root: Path) -> None:
    os.chown(root / "usr/bin/python3", 65534, 0)


def turn_link(root: Path) -> None:
    (root / "usr/bin/python").unlink()
    (root / "usr/bin/python").symlink_to("/bin/sh")


def link_instead_of_file(root: Path) -> None:
    shutil.move(root / "etc/passwd", root.parent.parent / "passwd")
    (root / "etc/passwd").symlink_to(root.parent.parent / "passwd")


def other_layer(root: Path) -> None:
    replace_file(root)
    changed = layer().replace(b"nobody\n", b"nobodY\n")
    (root.parent / "layer.tar").write_bytes(changed)


def other_configuration(root: Path) -> None:
    other_layer(root)
    changed = Image.make((root.parent / "layer.tar").read_bytes())
    (root.parent / "config.json").write_bytes(changed.config)


CHANGES = [
    replace_file,
    delete_file,
    add_file,
    add_folder,
    make_writable,
    make_setuid,
    give_away,
    turn_link,
    link_instead_of_file,
    other_layer,
    other_configuration,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_root_that_was_changed_is_refused(
    change: Callable[[Path], None], tmp_path: Path, image: Image
) -> None:
    folder = tmp_path / "images"
    change(open_root(folder, image.id, image.archive).path)
    with pytest.raises(SandboxUnavailable) as refusal:
        open_root(folder, image.id, image.archive)
    assert refusal.value.problem.code == "sandbox.oci-root"
    assert str(place(folder, image)) in refusal.value.problem.advice
    assert image.asked == 1


def test_an_engine_that_hands_out_another_image_is_refused(tmp_path: Path, image: Image) -> None:
    other = Image.make(layer((tarfile.TarInfo("usr/bin/sh"), b"evil")))
    with pytest.raises(SandboxUnavailable) as refusal:
        open_root(tmp_path / "images", image.id, other.archive)
    assert refusal.value.problem.expected == image.id
    assert list((tmp_path / "images").iterdir()) == []


def test_an_engine_that_hands_out_another_layer_is_refused(tmp_path: Path, image: Image) -> None:
    image.layers = [layer((tarfile.TarInfo("usr/bin/sh"), b"evil"))]
    with pytest.raises(SandboxUnavailable, match="its layer"):
        open_root(tmp_path / "images", image.id, image.archive)
    assert list((tmp_path / "images").iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"no tar", bytes(2048)])
def test_an_archive_that_cannot_be_read_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SandboxUnavailable):
        open_root(tmp_path / "images", "sha256:" + "0" * 64, lambda: [data])
    assert list((tmp_path / "images").iterdir()) == []


def device() -> tarfile.TarInfo:
    info = tarfile.TarInfo("dev")
    info.type = tarfile.CHRTYPE
    return info


def link_out() -> tarfile.TarInfo:
    info = tarfile.TarInfo("out")
    info.type, info.linkname = tarfile.SYMTYPE, "/tmp"
    return info


@pytest.mark.parametrize(
    "extra",
    [
        [(tarfile.TarInfo("../up"), b"x")],
        [(device(), b"")],
        [(tarfile.TarInfo("etc/.wh.passwd"), b"")],
        [(link_out(), b""), (tarfile.TarInfo("out/sealgate-escaped"), b"x")],
    ],
    ids=["above", "device", "whiteout", "below a link"],
)
def test_a_layer_with_odd_members_is_refused(
    extra: list[tuple[tarfile.TarInfo, bytes]], tmp_path: Path
) -> None:
    odd = Image.make(layer(*extra))
    with pytest.raises(SandboxUnavailable):
        open_root(tmp_path / "images", odd.id, odd.archive)
    assert list((tmp_path / "images").iterdir()) == []
    assert not Path("/tmp/sealgate-escaped").exists()


def test_an_image_of_several_layers_is_refused(tmp_path: Path) -> None:
    several = Image.make(layer(), layer())
    with pytest.raises(SandboxUnavailable, match="one layer"):
        open_root(tmp_path / "images", several.id, several.archive)
