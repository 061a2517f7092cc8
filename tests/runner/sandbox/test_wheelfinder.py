"""Where a wheel stands among the places that modules come from."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
from harness import wheelfinder
sys.path[0] = sys.argv[2]
wheelfinder.install(wheelfinder.WheelLoader(open(sys.argv[3], "rb").read()))
found = {}
for name in sys.argv[4:]:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        found[name] = type(error).__name__
    else:
        found[name] = getattr(module, "FROM", "Python")
print(json.dumps(found))
"""


def found(folder: Path, members: list[str], names: list[str]) -> dict[str, str]:
    """Import `names` with a wheel of `members` and a folder that has `on_disk.py`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member in members:
            archive.writestr(member, "FROM = 'wheel'\n")
    wheel = folder / "a.whl"
    wheel.write_bytes(buffer.getvalue())
    (folder / "on_disk.py").write_text("FROM = 'disk'\n", encoding="utf-8")
    harness = ROOT / "runner" / "sandbox"
    command = [sys.executable, "-I", "-S", "-B", "-c", SCRIPT, str(harness), str(folder)]
    done = subprocess.run(
        [*command, str(wheel), *names], capture_output=True, text=True, timeout=60, check=True
    )
    told: dict[str, str] = json.loads(done.stdout)
    return told


def test_python_s_own_modules_cannot_be_replaced(tmp_path: Path) -> None:
    members = ["colorsys.py", "wave.py", "xml/__init__.py", "xml/own.py", "math.py"]
    names = ["colorsys", "wave", "xml", "xml.dom", "math"]
    assert found(tmp_path, members, names) == dict.fromkeys(names, "Python")


def test_a_wheel_s_modules_are_found_before_the_file_system_is_searched(tmp_path: Path) -> None:
    members = ["on_disk.py", "package/__init__.py", "package/part.py", "spaces/part.py"]
    names = ["on_disk", "package", "package.part", "spaces.part"]
    assert found(tmp_path, members, names) == dict.fromkeys(names, "wheel")


def test_a_name_that_python_could_have_and_has_not_is_the_wheel_s(tmp_path: Path) -> None:
    """`winreg` is in Python's list of modules everywhere, and there only on Windows."""
    assert found(tmp_path, ["winreg.py"], ["winreg", "nobodys"]) == {
        "winreg": "wheel",
        "nobodys": "ModuleNotFoundError",
    }
