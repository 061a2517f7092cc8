"""From mmdebstrap's tar to the archive that `docker load` takes, deterministically.

The format is Docker's image specification v1.2: `manifest.json`, the image's configuration and
one layer. The configuration's digest is the image's id.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath

PRUNED = (
    "/usr/lib/python3*/test",
    "/usr/lib/python3*/idlelib",
    "/usr/lib/python3*/lib2to3",
    "/usr/lib/python3*/pydoc_data",
    "/usr/lib/python3*/ensurepip",
    "/usr/lib/python3*/turtledemo",
    "/usr/lib/python3*/tkinter",
    "/usr/lib/python3/dist-packages",
    "/usr/share/python3",
)
"""What is removed before bytecode is compiled (shell patterns, below the root)."""

_KEPT = re.compile(
    r"""
      (usr/)?lib/[a-z0-9_]+-linux-gnu/[^/]+\.so[^/]*   # shared objects
    | (usr/)?lib(64)?/ld-linux[^/]+                     # the dynamic linker
    | usr/bin/python3(\.\d+)?                           # the interpreter
    | usr/lib/python3[^/]*/.+                           # the standard library
    | usr/share/doc/[^/]+/copyright                     # licences
    | sealgate/.+                                       # the harness
    | lib | lib64 | usr/lib64                           # links of a merged /usr
    """,
    re.VERBOSE,
)
_FOLDERS = ("proc", "sys", "dev", "tmp", "etc", "var", "var/tmp")
_WORLD_WRITABLE = ("tmp", "var/tmp")
_PASSWD = b"nobody:x:65534:65534:nobody:/tmp:/nonexistent\n"
_GROUP = b"nogroup:x:65534:\n"


def _name(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").strip("/")


def _layer(source: Path, target: Path, epoch: int) -> str:
    """Write the layer; return its digest (`sha256:` and hexadecimal)."""
    with (
        tarfile.open(source) as old,
        tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as new,
    ):
        folders: set[str] = set()

        def add(info: tarfile.TarInfo, data: object = None) -> None:
            for parent in reversed(PurePosixPath(info.name).parents[:-1]):
                add_folder(str(parent))
            info.mtime, info.uid, info.gid, info.uname, info.gname = epoch, 0, 0, "", ""
            if not info.isdir():
                info.mode = 0o755 if info.mode & 0o100 else 0o644
            info.pax_headers = {}
            new.addfile(info, data)  # type: ignore[arg-type]  # a binary file object, or None

        def add_folder(path: str) -> None:
            if path not in folders:
                folders.add(path)
                info = tarfile.TarInfo(path)
                info.type = tarfile.DIRTYPE
                info.mode = 0o1777 if path in _WORLD_WRITABLE else 0o755
                add(info)

        for path in _FOLDERS:
            add_folder(path)
        for path, content in (("etc/passwd", _PASSWD), ("etc/group", _GROUP)):
            info = tarfile.TarInfo(path)
            info.size = len(content)
            add(info, io.BytesIO(content))
        for member in sorted(old.getmembers(), key=_name):
            name = _name(member)
            if member.isdir() or not _KEPT.fullmatch(name):
                continue
            if not (member.isfile() or member.issym() or member.islnk()):
                continue
            member.name = name
            if member.islnk():
                member.linkname = member.linkname.removeprefix("./")
            add(member, old.extractfile(member) if member.isfile() else None)
    return _sha256(target)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def copy_kept(root: Path, target: Path) -> int:
    """Copy what an image keeps of the file system at `root`, for `docker build`.

    Args:
        root: a root file system, with the harness in /sealgate.
        target: an empty or missing folder.

    Returns:
        How many files were copied.
    """
    for folder in _FOLDERS:
        (target / folder).mkdir(parents=True, exist_ok=True)
    for folder in _WORLD_WRITABLE:
        (target / folder).chmod(0o1777)
    (target / "etc/passwd").write_bytes(_PASSWD)
    (target / "etc/group").write_bytes(_GROUP)
    copied = 0
    for top in ("lib", "lib64", "usr", "sealgate"):
        base = root / top
        found = [base] if base.is_symlink() else sorted(base.rglob("*"))
        for path in found:
            name = path.relative_to(root).as_posix()
            if not _KEPT.fullmatch(name) or not (path.is_symlink() or path.is_file()):
                continue
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place, follow_symlinks=False)
            if not path.is_symlink():
                place.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            copied += 1
    return copied


def write_image(
    source: Path, target: Path, *, config: dict[str, object], tag: str, epoch: int
) -> str:
    """Write `target`, an archive for `docker load`, from the root file system in `source`.

    Args:
        source: a tar of a root file system.
        target: where the image archive goes.
        config: the image's configuration, without `rootfs`.
        tag: the image's name and tag.
        epoch: every time stamp, in seconds since 1970.

    Returns:
        The digest of the configuration, which is the image's id.
    """
    layer = target.with_name("layer.tar")
    diff_id = _layer(source, layer, epoch)
    document = {**config, "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    body = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(body).hexdigest()
    manifest = [{"Config": f"{digest}.json", "RepoTags": [tag], "Layers": ["layer.tar"]}]
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in (
            (f"{digest}.json", body),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), epoch
            archive.addfile(info, io.BytesIO(content))
        archive.add(layer, "layer.tar")
    return f"sha256:{digest}"


if __name__ == "__main__":
    print(copy_kept(Path(sys.argv[1]), Path(sys.argv[2])), "files", file=sys.stderr)
