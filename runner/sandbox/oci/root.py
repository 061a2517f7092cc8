"""The root file system of the pinned image, in a folder: exported once, verified at every start.

An image's id is the digest of its configuration, which names the digest of each layer (OCI Image
Specification, config.md, `rootfs.diff_ids`). Both documents are kept beside the folder, so that it
can be compared, file by file, with what the policy pins: whoever changed either is found out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from runner.sandbox.errors import SandboxUnavailable
from runner.sandbox.image import LABEL_HARNESS
from trust.errors import problem

MAX_ARCHIVE_BYTES = 1 << 30
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Root:
    """A verified root file system.

    Attributes:
        path: the folder.
        command: the image's entry point.
        harness: the digest of the harness that is baked in.
    """

    path: Path
    command: tuple[str, ...]
    harness: str


def _refuse(what: str, value: object, expected: str, advice: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        problem("sandbox.oci-root", what, value=value, expected=expected, advice=advice)
    )


def _other(folder: Path, what: str, value: object, expected: object) -> SandboxUnavailable:
    return _refuse(
        f"the exported root is not that of the pinned image: {what}",
        value,
        str(expected),
        f"find out who changed it; remove {folder} to have it exported again",
    )


def _not_ours(what: str, value: object, expected: str) -> SandboxUnavailable:
    return _refuse(
        what,
        value,
        expected,
        "build it with `sealgate image build`, or use the driver `engine`",
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def open_root(folder: Path, image: str, fetch: Callable[[], Iterable[bytes]]) -> Root:
    """Return the verified root of `image`; export it if that has not been done yet.

    Args:
        folder: where roots are kept, a private folder of the runner's.
        image: the pinned image's id, `sha256:` and 64 hexadecimal digits.
        fetch: yields the image as an archive (`docker save`).

    Raises:
        SandboxUnavailable: the engine does not hand the image out, what it hands out or what is
            in the folder is not the pinned image, or the folder is not writable.
    """
    place = folder / image.removeprefix("sha256:")
    try:
        if not place.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(prefix="export-", dir=folder) as temporary:
                made = Path(temporary) / "image"
                made.mkdir(mode=0o700)
                _export(made, image, fetch)
                _verify(made, image)
                made.rename(place)
        return _verify(place, image)
    except OSError as error:
        raise _refuse(
            "the image's root cannot be kept or read",
            error,
            "a writable folder that only root can enter",
            f"look at {folder}",
        ) from error


def _export(place: Path, image: str, fetch: Callable[[], Iterable[bytes]]) -> None:
    """Fill `place` with config.json, layer.tar and root."""
    archive = place / "archive.tar"
    size = 0
    with archive.open("wb") as file:
        for chunk in fetch():
            size += len(chunk)
            if size > MAX_ARCHIVE_BYTES:
                raise _not_ours("the image is too large", size, f"at most {MAX_ARCHIVE_BYTES}")
            file.write(chunk)
    try:
        with tarfile.open(archive) as saved:
            manifest = json.loads(_member(saved, "manifest.json").read())
            entry = manifest[0]
            if len(manifest) != 1 or len(entry["Layers"]) != 1:
                raise _not_ours("the image is not of one layer", len(entry["Layers"]), "one layer")
            (place / "config.json").write_bytes(_member(saved, entry["Config"]).read())
            with (place / "layer.tar").open("wb") as layer:
                shutil.copyfileobj(_member(saved, entry["Layers"][0]), layer, _CHUNK)
    except (tarfile.TarError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _not_ours("the engine's archive of the image is unreadable", error, image) from error
    archive.unlink()
    _check_layer(place, image)  # nothing is unpacked that is not the pinned image's
    _unpack(place / "layer.tar", place / "root")


def _member(archive: tarfile.TarFile, name: str) -> Any:
    found = archive.extractfile(name)
    if found is None:
        raise KeyError(name)
    return found


def _check_layer(place: Path, image: str) -> dict[str, Any]:
    """Return the image's configuration, if it and the layer are the pinned ones."""
    config = place / "config.json"
    if (found := _digest(config)) != image:
        raise _other(place, "its configuration", found, image)
    document: dict[str, Any] = json.loads(config.read_bytes())
    if [_digest(place / "layer.tar")] != document["rootfs"]["diff_ids"]:
        raise _other(place, "its layer", _digest(place / "layer.tar"), document["rootfs"])
    return document


def _name(member: tarfile.TarInfo) -> str:
    name = member.name.removeprefix("./").strip("/")
    parts = PurePosixPath(name).parts
    known = member.isdir() or member.isreg() or member.issym() or member.islnk()
    if not parts or ".." in parts or parts[-1].startswith(".wh.") or not known:
        raise _not_ours("the image's layer has a member of no known kind", member.name, "a file")
    return name


def _unpack(layer: Path, root: Path) -> None:
    root.mkdir(mode=0o755)
    root.chmod(0o755)
    with tarfile.open(layer) as archive:
        for member in archive:
            target = root / _name(member)
            if target.parent.is_symlink():
                raise _not_ours("a member of the layer is below a link", member.name, "a folder")
            if member.isdir():
                target.mkdir()
            elif member.issym():
                target.symlink_to(member.linkname)
            elif member.islnk():
                os.link(root / member.linkname.removeprefix("./"), target, follow_symlinks=False)
            else:
                with target.open("xb") as file:
                    shutil.copyfileobj(archive.extractfile(member), file, _CHUNK)  # type: ignore[arg-type] # a regular file
            if not member.issym():
                os.chown(target, 0, 0)
                target.chmod(stat.S_IMODE(member.mode))


def _verify(place: Path, image: str) -> Root:
    """Compare every file of the root with the layer, and the layer with the pinned id."""
    document = _check_layer(place, image)
    root = place / "root"
    seen = {root}
    _same_stat(place, root, stat.S_IFDIR, 0o755)
    with tarfile.open(place / "layer.tar") as archive:
        for member in archive:
            path = root / _name(member)
            seen.add(path)
            kind, wanted = stat.S_IFREG, stat.S_IMODE(member.mode)
            if member.isdir():
                kind = stat.S_IFDIR
            elif member.issym():
                kind, wanted = stat.S_IFLNK, 0o777
            _same_stat(place, path, kind, wanted)
            if member.issym() and (link := str(path.readlink())) != member.linkname:
                raise _other(place, str(path), link, member.linkname)
            if kind == stat.S_IFREG:
                content = archive.extractfile(member)
                if content is None or content.read() != path.read_bytes():
                    raise _other(place, str(path), "other content", "the layer's content")
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            if Path(folder, name) not in seen:
                raise _other(place, str(Path(folder, name)), "a file", "nothing")
    config = document["config"]
    labels = config.get("Labels") or {}
    return Root(root, tuple(config["Entrypoint"]), str(labels.get(LABEL_HARNESS, "")))


def _same_stat(place: Path, path: Path, kind: int, mode: int) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        raise _other(place, str(path), "missing", oct(mode)) from None
    told = (stat.S_IFMT(found.st_mode), stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
    if told != (kind, mode, 0, 0):
        value = f"mode {found.st_mode:o}, owner {found.st_uid}:{found.st_gid}"
        raise _other(place, str(path), value, f"mode {kind | mode:o}, owner 0:0")
