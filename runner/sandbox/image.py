"""The runtime image: Debian's Python, the harness, and nothing else, built on this machine.

mmdebstrap resolves, fetches and verifies Debian packages with the host's own apt sources and keys
and extracts them without running their scripts. What the image keeps of that is a short list:
the interpreter, its standard library, shared objects, licences. No shell, no package manager, no
setuid file. The archive that the engine loads is written here, byte for byte: the same packages
and the same harness make the same image id on any machine.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from docker.errors import ImageNotFound

from runner.sandbox import rootfs
from runner.sandbox.engine import ENGINE_ERRORS, Client
from runner.sandbox.errors import SandboxUnavailable, unavailable
from trust.errors import problem

REPOSITORY = "sealgate-runtime"
LABEL_HARNESS = "org.sealgate.harness"
LABEL_PACKAGES = "org.sealgate.packages"
HARNESS_VERSION = "1"
PACKAGES = ("python3-minimal", "libpython3-stdlib")
ENTRYPOINT = ("/usr/bin/python3", "-I", "-S", "-B", "-X", "utf8", "/sealgate/start.py")
USER = "65534:65534"
EPOCH = 1_704_067_200
"""Seconds since 1970 of every time stamp in the image (2024-01-01T00:00:00Z)."""
COMPILE = "-B -S -s -m compileall -q -f --invalidation-mode unchecked-hash /usr/lib /sealgate"
"""`-B` and `-f`: what the compiler itself imports would else be left with bytecode that names the
source's time stamp, which the image changes; each container would compile it anew."""
BUILD_SECONDS = 600
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What an image says of itself.

    Attributes:
        id: the engine's id, `sha256:` and 64 hexadecimal digits.
        harness: the digest of the harness's source that is baked in.
        packages: the digest of the list of Debian packages and versions.
        size: unpacked size, in bytes.
    """

    id: str
    harness: str
    packages: str
    size: int


def harness_sources() -> dict[str, bytes]:
    """Return the harness's modules by file name."""
    folder = importlib.resources.files("runner.sandbox.harness")
    return {
        item.name: item.read_bytes()
        for item in sorted(folder.iterdir(), key=lambda i: i.name)
        if item.name.endswith(".py")
    }


def harness_digest() -> str:
    """Return the digest (`sha256:` and hexadecimal) of the harness and of how the image is made.

    Debian's packages are not part of it: a security update makes another image with the same
    harness, and the operator decides which of them is pinned.
    """
    recipe = [HARNESS_VERSION, COMPILE, EPOCH, USER, *ENTRYPOINT, *PACKAGES]
    digest = hashlib.sha256(json.dumps(recipe).encode())
    packing = importlib.resources.files("runner.sandbox").joinpath("rootfs.py").read_bytes()
    for name, source in {**harness_sources(), "../rootfs.py": packing}.items():
        digest.update(f"{name}\0{len(source)}\0".encode() + source)
    return f"sha256:{digest.hexdigest()}"


def tag() -> str:
    """Return the local name of the image with this harness."""
    return f"{REPOSITORY}:{harness_digest().removeprefix('sha256:')[:16]}"


def describe(client: Client, image: str) -> ImageInfo:
    """Return what the engine knows of `image`.

    Raises:
        SandboxUnavailable: no such image, or no engine.
    """
    try:
        data = client.inspect_image(image)
    except ImageNotFound:
        raise unavailable(
            "image-missing", "the engine does not have the runtime image", value=image
        ) from None
    except ENGINE_ERRORS as error:
        raise unavailable("engine", "the Docker engine does not answer", value=error) from error
    labels = (data.get("Config") or {}).get("Labels") or {}
    return ImageInfo(
        id=str(data["Id"]),
        harness=str(labels.get(LABEL_HARNESS, "")),
        packages=str(labels.get(LABEL_PACKAGES, "")),
        size=int(data.get("Size", 0)),
    )


def ensure(client: Client, progress: Progress = _silent) -> str:
    """Return the id of the image with this very harness; build it if the engine has none.

    Raises:
        SandboxUnavailable: no engine, or the image cannot be built here.
    """
    try:
        info = describe(client, tag())
    except SandboxUnavailable as error:
        if error.problem.code != "sandbox.image-missing":
            raise
        return build(client, progress)
    return info.id if info.harness == harness_digest() else build(client, progress)


def build(client: Client, progress: Progress = _silent) -> str:
    """Build the image and load it into the engine; return its id.

    Raises:
        SandboxUnavailable: this machine cannot build it (the advice says what can), or a step
            failed.
    """
    _check_host()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sealgate-image-") as folder:
        work = Path(folder)
        suite, sources = apt_sources()
        progress(f"image: fetching and verifying Debian packages ({suite})")
        _bootstrap(work, suite, sources)
        progress("image: packing")
        packages = (work / "packages.txt").read_bytes()
        labels = {
            LABEL_HARNESS: harness_digest(),
            LABEL_PACKAGES: f"sha256:{hashlib.sha256(packages).hexdigest()}",
        }
        archive = work / "image.tar"
        rootfs.write_image(
            work / "rootfs.tar", archive, config=_config(labels), tag=tag(), epoch=EPOCH
        )
        progress("image: loading into the engine")
        try:
            with archive.open("rb") as file:
                for _ in client.load_image(file):
                    continue
        except ENGINE_ERRORS as error:
            raise unavailable("image-load", "the engine refused the image", value=error) from error
    info = describe(client, tag())
    progress(f"image: {info.id} ({info.size >> 20} MiB, {time.monotonic() - started:.0f} s)")
    return info.id


def apt_sources() -> tuple[str, str]:
    """Return the release's code name and this host's own apt sources for it, one a line.

    Only sources of the distribution itself are taken, and never an option that would make apt
    trust them unverified.

    Raises:
        SandboxUnavailable: the host has no apt sources for its own release.
    """
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    fields = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)|$(CREATED_BY)"
    listing = _run(["apt-get", "indextargets", "--format", fields], "the apt sources").splitlines()
    wanted = {release, f"{release}-updates", f"{release}-security"}
    lines: dict[str, None] = {}
    for line in listing:
        uri, suite, component, signed_by, kind = line.split("|")
        if suite in wanted and component == "main" and kind == "Packages":
            option = f"[signed-by={signed_by}] " if signed_by.startswith("/") else ""
            lines[f"deb {option}{uri} {suite} {component}"] = None
    if not release or not lines:
        raise unavailable(
            "apt-sources",
            "this host has no apt sources for its own release",
            value=release,
            advice=_elsewhere(),
        )
    return release, "\n".join(lines) + "\n"


def _config(labels: dict[str, str]) -> dict[str, object]:
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(EPOCH))
    return {
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "created": created,
        "config": {
            "User": USER,
            "Env": [],
            "Entrypoint": list(ENTRYPOINT),
            "WorkingDir": "/",
            "Labels": labels,
        },
        "history": [{"created": created, "created_by": "sealgate image build"}],
    }


def _check_host() -> None:
    missing = [name for name in ("mmdebstrap", "apt-get", "chroot") if not shutil.which(name)]
    if os.geteuid() != 0 or missing or platform.machine() not in _ARCHITECTURES:
        raise SandboxUnavailable(
            problem(
                "sandbox.image-host",
                "this machine cannot build the runtime image by itself",
                value=f"uid {os.geteuid()}, {platform.machine()}, missing: {missing or 'nothing'}",
                expected="root on Debian (amd64 or arm64) with mmdebstrap",
                advice=_elsewhere(),
            )
        )


def _elsewhere() -> str:
    return (
        f"in the source tree: `docker build -f deploy/Dockerfile --build-arg "
        f"HARNESS={harness_digest()} -t {tag()} runner/sandbox`, or build it as root on Debian "
        "and carry it over with `docker save` and `docker load`"
    )


def _bootstrap(work: Path, suite: str, sources: str) -> None:
    """Make rootfs.tar and packages.txt in `work`."""
    package = work / "_sealgate_harness"
    package.mkdir()
    for name, source in harness_sources().items():
        (package / name).write_bytes(source)
    prune = " ".join(f'"$1"{path}' for path in rootfs.PRUNED)
    hooks = [
        f"rm -rf {prune}",
        'mkdir -p "$1/sealgate" "$1/tmp" "$1/proc" "$1/sys" "$1/dev"',
        f'cp -r {shlex.quote(str(package))} "$1/sealgate/"',
        'mv "$1/sealgate/_sealgate_harness/start.py" "$1/sealgate/start.py"',
        f'env -i PATH="$PATH" PYTHONHASHSEED=0 chroot "$1" /usr/bin/python3 {COMPILE}',
        f'cd "$1/var/cache/apt/archives" && ls *.deb > {shlex.quote(str(work / "packages.txt"))}',
    ]
    command = ["mmdebstrap", "--mode=root", "--variant=extract"]
    command += [f"--include={','.join(PACKAGES)}"]
    command += [f"--aptopt={option}" for option in _proxies()]
    command += [f"--extract-hook={hook}" for hook in hooks]
    command += ["--skip=check/qemu", suite, str(work / "rootfs.tar"), "-"]
    _run(command, "mmdebstrap", stdin=sources)


def _proxies() -> Iterator[str]:
    """Yield the host's own apt proxy settings, which mmdebstrap does not read by itself."""
    for line in _run(["apt-config", "dump"], "apt's configuration").splitlines():
        name = line.split(" ", 1)[0]
        if name.startswith("Acquire::http") and "proxy" in name.lower() and '""' not in line:
            yield line.rstrip(";")


def _run(command: list[str], what: str, stdin: str = "") -> str:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
            check=True,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", "") or error).strip()
        tail = "; ".join(line for line in told.splitlines() if line.startswith("E: ")) or told
        raise unavailable(
            "image-build", f"building the image failed at {what}", value=tail, advice=_elsewhere()
        ) from error
    return done.stdout
