"""Vendor pinned pure-Python libraries into an example's package.

    python examples/vendor.py examples/markdown-render

reads `vendor.json` of the example and downloads exactly the wheels that `vendor.txt` pins by
digest (`pip download --require-hashes`), reads them with Sealgate's own strict reader, makes their
imports relative to the plugin's package, and writes sources and licenses to `_vendor/`, together
with `ORIGIN.json`, which says where each file came from. A plugin may import nothing but itself
and the standard library, so `import mdurl` becomes `from plugin._vendor import mdurl`.
"""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from trust.wheel import read_members


def main(project: Path) -> None:
    """Replace the `_vendor` folder of the example in `project`."""
    settings = json.loads((project / "vendor.json").read_bytes())
    package = settings["package"]
    target = project / "src" / package / "_vendor"
    wheels = download(project / "vendor.txt")
    files: dict[str, bytes] = {}
    for filename, data in sorted(wheels.items()):
        files |= select(read_members(data), filename, settings["leave_out"])
    names = {path.split("/")[0] for path in files if path.endswith(".py")}
    sources = {
        path: rewrite(body, path, names, f"{package}._vendor") if path.endswith(".py") else body
        for path, body in files.items()
    }
    origin = {
        "wheels": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(wheels.items())},
        "files": {
            path: {
                "sha256": hashlib.sha256(sources[path]).hexdigest(),
                "original_sha256": hashlib.sha256(files[path]).hexdigest(),
            }
            for path in sorted(sources)
        },
    }
    if target.exists():
        shutil.rmtree(target)
    sources["__init__.py"] = (
        b'"""Libraries of others, vendored; see ORIGIN.json and licenses/."""\n'
    )
    sources["ORIGIN.json"] = json.dumps(origin, indent=2).encode() + b"\n"
    for path, body in sources.items():
        destination = target / path
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(body)
    print(f"{target}: {len(sources)} files from {', '.join(sorted(wheels))}")


def download(requirements: Path) -> dict[str, bytes]:
    """Return file name -> bytes of the wheels that `requirements` pins by digest."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--only-binary", ":all:", "--dest", folder]
        subprocess.run([*command, "--requirement", str(requirements)], check=True)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def select(members: Mapping[str, bytes], filename: str, leave_out: list[str]) -> dict[str, bytes]:
    """Return the library's sources, and its licenses under `licenses/`."""
    library = filename.split("-")[0]
    chosen: dict[str, bytes] = {}
    for path, body in members.items():
        top, _, rest = path.partition("/")
        if top.endswith(".dist-info"):
            if re.search(r"licen[cs]e|copying|notice", rest, re.IGNORECASE):
                chosen[f"licenses/{library}/{rest.split('/')[-1]}"] = body
        elif not any(fnmatch.fnmatch(path, pattern) for pattern in leave_out):
            chosen[path] = body
    return chosen


def rewrite(body: bytes, path: str, names: set[str], prefix: str) -> bytes:
    """Make imports of the vendored libraries point into the plugin's package.

    Raises:
        ValueError: an import remains that the rewriting does not understand.
    """
    either = "|".join(sorted(map(re.escape, names)))
    text = body.decode("utf-8")
    text = re.sub(rf"^(\s*from )({either})\b", rf"\1{prefix}.\2", text, flags=re.MULTILINE)
    text = re.sub(
        rf"^(\s*)import ({either})(?=\s*(?:#|$))",
        rf"\1from {prefix} import \2",
        text,
        flags=re.MULTILINE,
    )
    left = [name for name in imported(ast.parse(text)) if name.split(".")[0] in names]
    if left:
        raise ValueError(f"{path}: cannot rewrite the import of {', '.join(left)}")
    return text.encode("utf-8")


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the absolute module names that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/vendor.py examples/NAME")
    main(Path(sys.argv[1]))
