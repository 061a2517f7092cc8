"""Cells by the driver that the policy names: what each needs, and that none stands in for another.

That a cell is as hard by either is held by `test_walls.py` and `test_hostile.py`, which run
everything for both.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.main import open_service
from runner.sandbox import SandboxUnavailable, drivers, options
from runner.sandbox.cell import CellSandbox, probe
from runner.sandbox.cell.options import COMMAND, CellHardening, container_profile
from runner.sandbox.cell.sandbox import LABEL_WHEEL
from runner.sandbox.driver import Host
from runner.sandbox.execution import DriverName
from runner.sandbox.oci import OciDriver
from runner.sandbox.oci import driver as oci_driver
from runner.sandbox.oci.spec import runtime_spec
from tests.runner.cell.conftest import processes_of
from tests.runner.kit import Site
from tests.support.sandbox import QUICK, containers_of, run

HONEST = "def run(arguments):\n    return 1\n"
CELLS = CellHardening().for_limits(QUICK)


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def asks_for(site: Site, driver: DriverName, image_id: str) -> None:
    """Have the policy name a driver, for calls that all run in cells."""
    site.policy["image"] = image_id
    site.policy["sandbox"] = {
        "runtime": "runc",
        "driver": driver,
        "pool": {"floor": 0, "ceiling": 0},
    }
    site.policy["plugins"][0]["cell_versions"] = "*"


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From here on, no engine answers."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")


def exported(image_id: str, folder: Path) -> None:
    """Have the image's root in a folder, as a runner leaves it that was started before."""
    drivers.connect("oci", image_id, folder=folder).close()


@pytest.mark.docker
def test_replies_and_records_say_which_driver_ran(
    site: Site, driver: DriverName, image_id: str, request: pytest.FixtureRequest
) -> None:
    """And by `oci`, neither start nor readiness nor call asks an engine."""
    asks_for(site, driver, image_id)
    if driver == "oci":
        exported(image_id, site.state / "images")
        request.getfixturevalue("no_engine")
    with site.runner(sandbox=None) as calls:
        reply = calls.call()
        assert calls.get("/readyz").status_code == 200
    assert (reply["status"], reply["result"]) == ("ok", {"greeting": "Hello, Ada!"}), reply
    told = [reply["sandbox"], *(each["sandbox"] for each in site.records() if each["sandbox"])]
    assert len(told) == 3, "the reply, the decision, the outcome"
    assert {(each["level"], each["driver"]) for each in told} == {("cell", driver)}


@pytest.mark.docker
def test_what_is_missing_is_told_by_the_readiness_check(site: Site, image_id: str) -> None:
    asks_for(site, "oci", image_id)
    with site.runner(sandbox=None) as calls:
        interpreter = next((site.state / "images").glob("*/root/usr/bin/python3"))
        interpreter.unlink()
        ready = calls.get("/readyz")
    assert ready.status_code == 503
    assert ready.get_json()["checks"]["cells"]


def test_a_policy_with_the_engine_has_no_cells_by_oci(
    site: Site, image_id: str, no_engine: None
) -> None:
    """It could make them here."""
    asks_for(site, "engine", image_id)
    with pytest.raises(SandboxUnavailable), open_service(site.settings):
        pass
    assert site.records() == []


@pytest.mark.docker
def test_a_policy_with_oci_has_no_cells_by_the_engine(
    site: Site, image_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where cells cannot be made without it, calls are refused, though the engine makes them."""
    asks_for(site, "oci", image_id)
    monkeypatch.setattr(OciDriver, "host", lambda _: Host("x86_64", "4.19.0", apparmor=False))
    with site.runner(sandbox=None) as calls:
        reply = calls.call()
        ready = calls.get("/readyz")
    assert (reply["status"], reply["result"]) == ("unavailable", None)
    assert "5.14" in json.dumps(reply["error"])
    told = [reply["sandbox"], *(each["sandbox"] for each in site.records() if each["sandbox"])]
    assert {(each["level"], each["driver"]) for each in told} == {("cell", "oci")}
    assert ready.status_code == 503
    assert ready.get_json()["checks"]["cells"][0]["code"] == "sandbox.cells"


def test_the_fallback_has_no_cells(site: Site, no_engine: None) -> None:
    site.policy["sandbox"]["fallback"] = "subprocess"
    site.policy["plugins"][0]["cell_versions"] = "*"
    with pytest.raises(SandboxUnavailable), open_service(site.settings):
        pass


def test_a_driver_that_makes_no_containers_holds_no_cells(image_id: str) -> None:
    with pytest.raises(ValueError, match="makes no containers"):
        CellSandbox.connect(image_id, driver="subprocess")


@pytest.fixture
def confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What makes this a host with AppArmor and some profiles, for all that the driver sees."""
    enabled, profiles = tmp_path / "enabled", tmp_path / "profiles"
    monkeypatch.setattr(oci_driver, "APPARMOR", enabled)
    monkeypatch.setattr(oci_driver, "APPARMOR_PROFILES", profiles)

    def load(*lines: str) -> None:
        enabled.write_text("Y\n")
        profiles.write_text("".join(f"{line}\n" for line in lines))

    return load


@pytest.mark.docker
@pytest.mark.parametrize(
    "loaded",
    [
        ("docker-default (enforce)",),
        ("docker-default (enforce)", "sealgate-cell (complain)"),
        ("docker-default (enforce)", "not-sealgate-cell (enforce)"),
    ],
    ids=["not loaded", "holds nothing", "another one"],
)
def test_by_oci_under_apparmor_cells_need_their_own_profile(
    image_id: str, roots: Path, confined: Callable[..., None], loaded: tuple[str, ...]
) -> None:
    connected = drivers.connect("oci", image_id, folder=roots)
    confined(*loaded)
    with CellSandbox(connected, image_id) as sandbox:
        assert sandbox.hardening.apparmor == probe.APPARMOR_PROFILE
        with pytest.raises(SandboxUnavailable) as refusal:
            sandbox.probe()
        assert refusal.value.problem.code == "sandbox.cells"
        assert "apparmor_parser" in refusal.value.problem.advice
        assert containers_of(sandbox) == []


def test_the_profile_that_is_loaded_is_the_one_around_the_container(
    confined: Callable[..., None],
) -> None:
    confined("docker-default (enforce)", "sealgate-cell (enforce)")
    hardening = dataclasses.replace(CELLS, apparmor="sealgate-cell")
    found = oci_driver._apparmor(hardening.apparmor)
    assert spec(hardening, apparmor=found)["process"]["apparmorProfile"] == "sealgate-cell"
    with pytest.raises(SandboxUnavailable):
        spec(hardening, apparmor="docker-default")


def test_a_profile_is_not_asked_for_in_vain() -> None:
    """On a host without AppArmor it would hold nothing."""
    if oci_driver._apparmor_is_on():
        pytest.skip("this host has AppArmor")
    with pytest.raises(SandboxUnavailable) as refusal:
        oci_driver._apparmor("sealgate-cell")
    assert refusal.value.problem.code == "sandbox.oci"


def spec(hardening: options.Hardening, **changes: Any) -> dict[str, Any]:
    named = {"root": "/r", "command": ("/image",), "container": "c", "cgroup": "/g"}
    return runtime_spec(hardening, **(named | changes))


def test_the_bundle_has_all_of_the_hardening() -> None:
    made = spec(CELLS, machine="x86_64", labels={LABEL_WHEEL: "d"})
    assert made["process"]["args"] == list(COMMAND)
    assert spec(options.Hardening())["process"]["args"] == ["/image"]
    assert made["annotations"] == {LABEL_WHEEL: "d"}
    resources = made["linux"]["resources"]
    assert resources["memory"]["limit"] == CELLS.memory_bytes
    assert resources["pids"]["limit"] == CELLS.pids
    assert resources["cpu"]["quota"] == CELLS.nano_cpus // 10_000
    limits = {each["type"]: each["hard"] for each in made["process"]["rlimits"]}
    assert limits["RLIMIT_NOFILE"] == CELLS.open_files
    assert limits["RLIMIT_FSIZE"] == CELLS.file_bytes


def test_the_profile_keeps_its_conditions() -> None:
    """Each rule with every name and argument that the engine is given, and no other rule."""
    asked = [
        {key: value for key, value in rule.items() if key != "comment"}
        for rule in json.loads(container_profile())["syscalls"]
    ]
    made = spec(CELLS, machine="x86_64")["linux"]["seccomp"]
    assert made["syscalls"] == asked
    unshares = [rule["args"] for rule in made["syscalls"] if rule["names"] == ["unshare"]]
    assert len(unshares) == 2
    assert all(arguments[0]["op"] == "SCMP_CMP_EQ" for arguments in unshares)
    assert made["defaultAction"] == "SCMP_ACT_ERRNO"


@dataclass(frozen=True, slots=True)
class Further(CellHardening):
    """With a control that the driver has never heard of."""

    landlock: str = "strict"


@pytest.mark.parametrize(
    "hardening",
    [Further(), dataclasses.replace(CELLS, runtime="runsc")],
    ids=["an option", "a runtime"],
)
def test_what_the_driver_does_not_know_is_refused(hardening: options.Hardening) -> None:
    with pytest.raises(SandboxUnavailable) as refusal:
        spec(hardening)
    assert refusal.value.problem.code == "sandbox.oci-option"


CHILD = """
import dataclasses, sys
from pathlib import Path
from runner.sandbox.cell import CellSandbox
from tests.support.sandbox import job
sandbox = CellSandbox.connect(sys.argv[1], driver="oci", folder=Path(sys.argv[2]))
source = "import os, time\\ndef run(a): os.fork(); print('x', flush=True); time.sleep(60)"
made = dataclasses.replace(job(source, wall_seconds=50.0), level="cell")
made.control.live = lambda *_: print(*sandbox.driver.containers(), flush=True)
sandbox.execute(made)
"""


@pytest.mark.docker
@pytest.mark.slow
def test_after_kill_9_of_the_runner_no_cell_runs_and_the_next_one_sweeps(
    image_id: str, roots: Path, direct_cells: CellSandbox
) -> None:
    assert run(direct_cells, HONEST).result == 1
    (kept, *_) = (each["Id"] for each in containers_of(direct_cells))
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, image_id, str(roots)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        container = child.stdout.readline().strip()
        assert processes_of(container) > 3, "PID 1, the zygote, berths, cells"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    until(lambda: processes_of(container) == 0)
    assert direct_cells.driver.sweep() == 1
    assert list(oci_driver.RUN.glob(f"*/bundles/{container}")) == []
    assert processes_of(kept) > 0
    assert run(direct_cells, HONEST).result == 1
