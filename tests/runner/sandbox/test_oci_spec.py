"""What the driver `oci` writes for every container beside the options: each taken away alone.

The runtime is called directly, with the document that the driver makes and a program of the test.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import Sandbox
from runner.sandbox.oci.cgroups import PARENT
from runner.sandbox.oci.spec import runtime_spec
from runner.sandbox.options import Hardening

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="the driver `oci` needs root"),
]

Document = dict[str, Any]
PYTHON = ("/usr/bin/python3", "-I", "-S", "-c")


@pytest.fixture(scope="module")
def root(image_id: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The image's root, where the driver keeps it."""
    folder = tmp_path_factory.mktemp("images")
    with Sandbox.connect(image_id, driver="oci", folder=folder):
        (found,) = folder.glob("*/root")
        yield found


def result(folder: Path, document: Document, program: str) -> Any:
    """Run a program in a container; return what it printed, as JSON."""
    name = f"spec-{uuid.uuid4().hex[:12]}"
    bundle = folder / name
    bundle.mkdir()
    document = copy.deepcopy(document)
    document["process"]["args"] = [*PYTHON, program]
    document["linux"]["cgroupsPath"] = f"/{PARENT}/{name}"
    (bundle / "config.json").write_text(json.dumps(document), encoding="utf-8")
    state = ["runc", "--root", str(folder / "state")]
    try:
        done = subprocess.run(
            [*state, "run", "--bundle", str(bundle), name],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        subprocess.run([*state, "delete", "--force", name], capture_output=True, timeout=60)
        shutil.rmtree(bundle)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def document(root: Path) -> Document:
    return runtime_spec(
        Hardening(), root=str(root), command=PYTHON, container="spec", cgroup=f"/{PARENT}/spec"
    )


@pytest.mark.parametrize("kind", ["pid", "ipc", "uts", "cgroup", "network"])
def test_a_namespace_is_the_containers_own(kind: str, root: Path, tmp_path: Path) -> None:
    name = {"network": "net"}.get(kind, kind)
    program = f"import json, os; print(json.dumps(os.readlink('/proc/self/ns/{name}')))"
    ours = str(Path(f"/proc/self/ns/{name}").readlink())
    full = document(root)
    # without a UTS namespace there is nothing that may have a name of its own
    full.pop("hostname")
    assert result(tmp_path, full, program) != ours
    weaker = copy.deepcopy(full)
    weaker["linux"]["namespaces"] = [n for n in full["linux"]["namespaces"] if n["type"] != kind]
    assert result(tmp_path, weaker, program) == ours


FLAGS = {"nosuid": os.ST_NOSUID, "noexec": os.ST_NOEXEC, "nodev": os.ST_NODEV, "ro": os.ST_RDONLY}
PLACES = {
    "/proc": ("nosuid", "noexec", "nodev"),
    "/sys": ("nosuid", "noexec", "nodev", "ro"),
    "/dev/mqueue": ("nosuid", "noexec", "nodev"),
    "/dev/pts": ("nosuid", "noexec"),
    "/dev": ("nosuid",),
}


@pytest.mark.parametrize(
    ("place", "option"), [(place, option) for place, all_ in PLACES.items() for option in all_]
)
def test_a_mount_has_its_option(place: str, option: str, root: Path, tmp_path: Path) -> None:
    program = (
        f"import json, os; print(json.dumps(bool(os.statvfs('{place}').f_flag & {FLAGS[option]})))"
    )
    full = document(root)
    assert result(tmp_path, full, program) is True
    weaker = copy.deepcopy(full)
    (mount,) = (each for each in weaker["mounts"] if each["destination"] == place)
    mount["options"].remove(option)
    assert result(tmp_path, weaker, program) is False


@dataclass(frozen=True)
class Part:
    """A part of the document, and a program that prints whether its attack succeeds."""

    name: str
    program: str
    without: Callable[[Document], None]
    both: Callable[[Document], None] = lambda _: None
    """What is changed in both runs, because it stops the attack as well."""


def _no_device_rules(found: Document) -> None:
    found["linux"]["resources"]["devices"] = [{"allow": True, "access": "rwm"}]


def _as_root(found: Document) -> None:
    """Root with CAP_MKNOD and no filter: what is left is the device cgroup."""
    found["process"]["user"] = {"uid": 0, "gid": 0}
    for each in ("bounding", "effective", "permitted"):
        found["process"]["capabilities"][each] = ["CAP_MKNOD"]
    found["linux"].pop("seccomp")


def _writable_cgroups(found: Document) -> None:
    (mount,) = (each for each in found["mounts"] if each["destination"] == "/sys/fs/cgroup")
    mount["options"].remove("ro")


DEVICE = """
import json, os, stat
try:
    os.mknod("/dev/other", stat.S_IFCHR | 0o600, os.makedev(1, 11))
    os.close(os.open("/dev/other", os.O_WRONLY))
except PermissionError:
    print("false")
else:
    print("true")
"""
CGROUP = """
import json, os
places = [os.path.join("/sys/fs/cgroup", name) for name in ("memory", "")]
place = next(each for each in places if os.path.isdir(each))
try:
    os.mkdir(os.path.join(place, "mine"))
except OSError:
    print("false")
else:
    os.rmdir(os.path.join(place, "mine"))
    print("true")
"""
PARTS = [
    Part("device_rules", DEVICE, _no_device_rules, _as_root),
    Part("cgroups_read_only", CGROUP, _writable_cgroups, _as_root),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_is_what_stops_it(part: Part, root: Path, tmp_path: Path) -> None:
    full = document(root)
    part.both(full)
    assert result(tmp_path, full, part.program) is False
    part.without(full)
    assert result(tmp_path, full, part.program) is True
