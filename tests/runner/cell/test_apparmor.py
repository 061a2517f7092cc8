"""The AppArmor profiles under deploy/, read by AppArmor's own parser, which loads nothing here.

No kernel of the tests has AppArmor: that cells start under the profile is not shown by them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from runner.sandbox.cell.probe import APPARMOR_PROFILE

FOLDER = Path(__file__).parents[3] / "deploy" / "apparmor"
PROFILE, NEWER = FOLDER / "sealgate-cell", FOLDER / "sealgate-cell-abi4"
parser = pytest.mark.skipif(
    shutil.which("apparmor_parser") is None, reason="apparmor_parser is not installed"
)


def parse(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Compile a profile without loading it, and without a cache."""
    return subprocess.run(
        ["apparmor_parser", "--skip-kernel-load", "--skip-cache", *options, str(path)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def rules(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@parser
def test_the_parser_takes_the_profile_and_it_has_its_name() -> None:
    done = parse(PROFILE)
    assert done.returncode == 0, done.stderr
    assert parse(PROFILE, "--names").stdout.split() == [APPARMOR_PROFILE]


@parser
@pytest.mark.parametrize("wrong", ["capability sys_admn,", "pivot_rot,", "signal (sendd),"])
def test_the_parser_would_say_so(wrong: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text(PROFILE.read_text().replace("  umount,\n", f"  {wrong}\n"), encoding="utf-8")
    assert parse(broken).returncode != 0


@parser
def test_the_newer_profile_is_the_same_but_for_user_namespaces(tmp_path: Path) -> None:
    extra = [line for line in rules(NEWER) if line not in rules(PROFILE)]
    assert extra == ["abi <abi/4.0>,", "userns,"]
    assert [line for line in rules(NEWER) if line not in extra] == rules(PROFILE)
    # where the parser is older than what the profile needs, the rest of it still has to be sound
    older = tmp_path / "older"
    older.write_text("\n".join(line for line in rules(NEWER) if line not in extra), "utf-8")
    assert parse(older).returncode == 0


def test_neither_lets_a_container_at_the_network_or_the_kernel() -> None:
    for path in (PROFILE, NEWER):
        found = rules(path)
        for family in ("inet", "inet6", "netlink", "packet", "raw"):
            assert f"deny network {family}," in found
        granted = {line for line in found if line.startswith("capability")}
        assert granted == {
            f"capability {name},"
            for name in ("sys_admin", "setpcap", "setuid", "setgid", "sys_resource", "sys_ptrace")
        }
