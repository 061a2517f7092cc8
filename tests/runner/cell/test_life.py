"""How containers of cells come and go: renewal, surprises, hosts that forbid cells."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from runner.sandbox import Job, Sandbox, SandboxUnavailable, options
from runner.sandbox.cell import CellSandbox, Levels, Renewal, probe
from runner.sandbox.cell.options import CellHardening, container_profile
from runner.sandbox.harness import cell_steps
from tests.runner.cell.conftest import Opens, processes_of
from tests.runner.kit import Site
from tests.support.sandbox import QUICK, containers_of, job, run

pytestmark = [pytest.mark.docker, pytest.mark.slow]

HONEST = "def run(arguments):\n    return 1\n"


@contextmanager
def opened(opens: Opens, renewal: Renewal | None = None, **hardening: Any) -> Iterator[CellSandbox]:
    sandbox = opens(dataclasses.replace(CellHardening(), **hardening), renewal)
    try:
        yield sandbox
    finally:
        sandbox.close()
        assert containers_of(sandbox) == []


def ids(sandbox: CellSandbox) -> set[str]:
    return {str(each["Id"]) for each in containers_of(sandbox)}


def running(sandbox: CellSandbox) -> set[str]:
    """The containers in which there is a process."""
    if sandbox.driver.name == "engine":
        return ids(sandbox)
    return {each for each in ids(sandbox) if processes_of(each)}


def until(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.05)


def test_a_container_is_renewed_after_its_calls(opens: Opens) -> None:
    with opened(opens, Renewal(calls=5)) as sandbox:
        seen: set[str] = set()
        for _ in range(30):
            assert run(sandbox, HONEST).result == 1
            seen |= ids(sandbox)
        assert len(seen) >= 3
        sandbox.drain()
        assert len(ids(sandbox)) <= 2


def test_a_container_is_renewed_when_it_is_old(opens: Opens) -> None:
    with opened(opens, Renewal(seconds=1.0)) as sandbox:
        run(sandbox, HONEST)
        first = ids(sandbox)
        time.sleep(1.1)
        assert run(sandbox, HONEST).result == 1
        until(lambda: not first & ids(sandbox))


def test_containers_that_nobody_uses_are_let_go(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.sandbox.cell.sandbox.JANITOR_SECONDS", 0.2)
    with opened(opens, Renewal(idle_seconds=0.1)) as sandbox:
        run(sandbox, HONEST)
        assert ids(sandbox)
        until(lambda: not ids(sandbox), 12)
        assert run(sandbox, HONEST).result == 1


@pytest.mark.parametrize(
    "source",
    [
        "import os\ndef run(arguments):\n    os._exit(3)\n",
        "import ctypes\ndef run(arguments):\n    ctypes.string_at(1)\n",
        "import os\ndef run(arguments):\n    os.write(4, b'x' * 64)\n",
    ],
    ids=["exit", "crash", "no answer"],
)
def test_a_surprise_ends_the_container(source: str, opens: Opens) -> None:
    with opened(opens) as sandbox:
        first = run(sandbox, source)
        assert first.status in ("plugin_error", "protocol_error"), first
        before = ids(sandbox)
        until(lambda: not ids(sandbox))
        assert run(sandbox, source).status == first.status
        assert not before & ids(sandbox)


def test_an_exception_is_no_surprise(opens: Opens) -> None:
    with opened(opens) as sandbox:
        for _ in range(3):
            assert run(sandbox, "def run(arguments):\n    return 1 / 0\n").status == "plugin_error"
        assert len(ids(sandbox)) == 1


def test_the_container_is_killed_in_mid_call(opens: Opens) -> None:
    source = "import time\ndef run(arguments):\n    time.sleep(arguments['s'])\n    return 1\n"
    with opened(opens) as sandbox:
        assert run(sandbox, source, {"s": 0}).result == 1
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            call = threads.submit(run, sandbox, source, {"s": 2})
            time.sleep(0.3)
            for container in ids(sandbox):
                sandbox.driver.remove(container)
            assert call.result().status in ("protocol_error", "unavailable")
        assert run(sandbox, source, {"s": 0}).result == 1


def test_a_container_ends_with_its_runner(opens: Opens) -> None:
    """What is left when the runner's connection breaks, as it does when it is killed."""
    source = "import time\ndef run(arguments):\n    time.sleep(30)\n"
    with opened(opens) as sandbox:
        run(sandbox, HONEST)
        (idle,) = ids(sandbox)
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            call = threads.submit(run, sandbox, source, wall_seconds=30.0)
            until(lambda: any(any(h._running.values()) for h in sandbox._homes.values()))
            time.sleep(0.3)
            for home in sandbox._homes.values():
                for container in home._running:
                    container.disconnect()
            assert call.result().status in ("protocol_error", "unavailable")
        # the engine removes what ends; of the other driver's, bundles wait for their burial
        until(lambda: not running(sandbox))
        assert idle not in running(sandbox)


def test_each_version_and_each_limit_has_its_own_container(opens: Opens) -> None:
    with opened(opens, Renewal(containers=2)) as sandbox:
        assert run(sandbox, HONEST).result == 1
        assert run(sandbox, HONEST, processes=8).result == 1
        assert len(ids(sandbox)) == 2
        # a third one takes the place of the one that was not used for longest
        assert run(sandbox, "def run(arguments):\n    return 3\n").result == 3
        until(lambda: len(ids(sandbox)) == 2)


@pytest.mark.parametrize("driver", ["engine"])
def test_calls_wait_for_a_cell_no_longer_than_is_said(opens: Opens) -> None:
    source = "import time\ndef run(arguments):\n    time.sleep(1)\n"
    with opened(opens, Renewal(queue_seconds=1.5), cells=1) as sandbox:
        run(sandbox, HONEST)
        with concurrent.futures.ThreadPoolExecutor(2) as threads:
            first = threads.submit(run, sandbox, source, wall_seconds=5.0)
            time.sleep(0.3)
            second = threads.submit(run, sandbox, source, wall_seconds=5.0)
            assert {first.result().status, second.result().status} == {"ok"}
        with concurrent.futures.ThreadPoolExecutor(3) as threads:
            done = list(threads.map(lambda _: run(sandbox, source, wall_seconds=5.0), range(3)))
        assert sorted(each.status for each in done) == ["ok", "ok", "unavailable"]
        assert any("busy" in each.detail for each in done)


def without_rule(*names: str) -> str:
    profile = json.loads(container_profile())
    profile["syscalls"] = [rule for rule in profile["syscalls"] if not {*names} & {*rule["names"]}]
    return json.dumps(profile)


@pytest.mark.parametrize(
    ("seccomp", "said"),
    [
        (options.seccomp_profile(), "user namespaces"),
        (without_rule("mount"), "apparmor_parser"),
        (without_rule("capset"), "host makes no cells"),
    ],
    ids=["no namespaces", "no mounts", "no capset"],
)
def test_a_host_that_forbids_cells_is_found_out(seccomp: str, said: str, image_id: str) -> None:
    """As on a host without unprivileged user namespaces, or whose AppArmor denies mounts."""
    hardening = dataclasses.replace(CellHardening(), seccomp=seccomp)
    with CellSandbox.connect(image_id, hardening=hardening) as sandbox:
        refusal = sandbox.refusal
        assert refusal is not None
        assert refusal.problem.code == "sandbox.cells"
        assert said in f"{refusal} {refusal.problem.advice}"
        execution = run(sandbox, HONEST)
        assert execution.status == "unavailable"
        assert refusal.problem.advice in execution.detail
        assert execution.sandbox["level"] == "cell"
        sandbox.drain()
        assert containers_of(sandbox) == []


@pytest.mark.parametrize("release", ["5.13.0-amd64", "4.19.0", "", "unknown"])
def test_an_old_kernel_is_refused(release: str) -> None:
    with pytest.raises(SandboxUnavailable, match="counts the processes"):
        probe.check_kernel(release)


def test_every_step_has_words() -> None:
    numbers = {
        getattr(cell_steps, name)
        for name in ("SEAL", "CLONE", "IDENTITY", "SACRIFICE", "TMP", "LIMITS", "CAPABILITIES")
    } | {cell_steps.PRIVILEGES, cell_steps.FILTER, cell_steps.DESCRIPTORS, cell_steps.LOST}
    for number in numbers:
        assert "host makes no cells" in str(probe.refused(number, 1))


def test_no_level_stands_in_for_another(
    sandbox: Sandbox, cells: CellSandbox, image_id: str
) -> None:
    levels = Levels(sandbox, cells)
    made = job(HONEST)
    assert levels.execute(made).sandbox["level"] == "container"
    assert levels.execute(dataclasses.replace(made, level="cell")).sandbox["level"] == "cell"
    with pytest.raises(ValueError, match="level"):
        cells.execute(made)
    with pytest.raises(ValueError, match="level"):
        sandbox.execute(dataclasses.replace(made, level="cell"))


def test_the_policy_names_the_level_and_records_and_replies_say_it(
    site: Site, image_id: str
) -> None:
    site.release("2.0.0")
    site.policy["image"] = image_id
    site.policy["plugins"][0]["cell_versions"] = ">=2"
    with site.runner(sandbox=None) as calls:
        for version, level in (("1.0.0", "container"), ("2.0.0", "cell")):
            reply = calls.call(version=version)
            assert (reply["status"], reply["result"]) == ("ok", {"greeting": "Hello, Ada!"}), reply
            assert reply["sandbox"]["level"] == level
    said = [(r["version"], r["sandbox"]["level"]) for r in site.records() if r["sandbox"]]
    assert said == [("1.0.0", "container")] * 2 + [("2.0.0", "cell")] * 2


def test_a_runner_whose_host_forbids_cells_refuses_those_calls_only(
    site: Site, sandbox: Sandbox, image_id: str
) -> None:
    site.release("2.0.0")
    site.policy["image"] = image_id
    site.policy["plugins"][0]["cell_versions"] = "==2.0.0"
    hardening = dataclasses.replace(CellHardening(), seccomp=options.seccomp_profile())
    with (
        CellSandbox.connect(image_id, hardening=hardening) as forbidden,
        site.runner(sandbox=Levels(sandbox, forbidden)) as calls,
    ):
        assert calls.call(version="1.0.0")["status"] == "ok"
        refused = calls.call(version="2.0.0")
        ready = calls.get("/readyz")
    assert refused["status"] == "unavailable"
    assert refused["result"] is None
    assert "user namespaces" in json.dumps(refused["error"])
    assert refused["sandbox"]["level"] == "cell"
    assert ready.status_code == 503
    (told,) = ready.get_json()["checks"]["cells"]
    assert told["code"] == "sandbox.cells"
    assert "user namespaces" in told["advice"]


@pytest.mark.parametrize("asked_for", [True, False])
def test_a_runner_without_cells_is_ready_unless_the_policy_asks_for_them(
    site: Site, sandbox: Sandbox, asked_for: bool
) -> None:
    if asked_for:
        site.policy["plugins"][0]["cell_versions"] = "*"
    with site.runner(sandbox=sandbox) as calls:
        ready = calls.get("/readyz")
    codes = [told["code"] for told in ready.get_json()["checks"]["cells"]]
    assert codes == (["sandbox.cells-not-started"] if asked_for else [])
    assert (ready.status_code == 503) is asked_for


def test_a_job_that_does_not_fit_is_the_callers_mistake(cells: CellSandbox) -> None:
    with pytest.raises(ValueError, match="bytes"):
        cells.execute(Job(b"", "m", "f", b"{}", QUICK, "r", "cell"))
    with pytest.raises(ValueError, match="bytes"):
        cells.execute(dataclasses.replace(job(HONEST), level="cell", module="m" * 2000))
