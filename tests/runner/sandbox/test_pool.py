"""The pool: how many containers there are and who gets which; then with real containers."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import statistics
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from runner.sandbox import PoolSettings, Sandbox
from runner.sandbox.engine import Engine
from runner.sandbox.errors import SandboxUnavailable, unavailable
from runner.sandbox.options import Hardening
from runner.sandbox.pool import Pool
from tests.support.sandbox import containers_of, job, run
from trust.wheel import Limits

SMALL = Hardening(memory_bytes=1)
LARGE = Hardening(memory_bytes=2)


class Stub:
    """A container as far as the pool looks at one."""

    def __init__(self, hardening: Hardening) -> None:
        self.hardening = hardening
        self.born = time.monotonic()
        self.dead = False

    def alive(self) -> bool:
        return not self.dead


class Yard:
    """Makes stubs, and remembers them."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.made: list[Stub] = []
        self.buried: list[Stub] = []
        self.fails: SandboxUnavailable | None = None
        self.most = 0
        self._lock = threading.Lock()

    def start(self, hardening: Hardening) -> Stub:
        time.sleep(self.seconds)
        if self.fails:
            raise self.fails
        with self._lock:
            self.made.append(Stub(hardening))
            self.most = max(self.most, len(self.made) - len(self.buried))
            return self.made[-1]

    def bury(self, container: Stub) -> None:
        container.dead = True
        with self._lock:
            self.buried.append(container)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.005)


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def pools() -> Iterator[Callable[..., Pool[Stub]]]:
    made: list[Pool[Stub]] = []

    def make(yard: Yard, **settings: float) -> Pool[Stub]:
        chosen = PoolSettings(**{"floor": 2, "ceiling": 4, "calm_seconds": 0.1} | settings)  # type: ignore[arg-type]
        made.append(Pool(yard.start, yard.bury, SMALL, chosen))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def test_the_floor_is_kept_ready(yard: Yard, pools: Callable[..., Pool[Stub]]) -> None:
    pool = pools(yard)
    until(lambda: pool.state().ready == 2)
    time.sleep(0.1)
    assert len(yard.made) == 2
    taken = pool.take(SMALL)
    until(lambda: pool.state().ready == 2)
    pool.done(SMALL, taken)
    assert taken in yard.buried


def test_a_replacement_leaves_the_call_alone_but_not_one_that_waits(
    yard: Yard, pools: Callable[..., Pool[Stub]]
) -> None:
    pool = pools(yard, rest_seconds=30.0)
    until(lambda: pool.state().ready == 2)
    held = [pool.take(SMALL), pool.take(SMALL)]
    time.sleep(0.2)
    assert len(yard.made) == 2
    held.append(pool.take(SMALL, seconds=5.0))  # nothing is ready: started at once
    for container in held:
        pool.done(SMALL, container)


def test_calls_are_served_in_the_order_in_which_they_came(
    pools: Callable[..., Pool[Stub]],
) -> None:
    pool = pools(Yard(seconds=0.03), floor=0, starters=1)
    served: list[int] = []

    def use(number: int) -> None:
        container = pool.take(SMALL)
        served.append(number)
        pool.done(SMALL, container)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(12)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        until(lambda number=number: pool.state().waiting + len(served) >= number)  # type: ignore[misc]
    for thread in threads:
        thread.join()
    assert served == sorted(served)


def test_a_container_is_given_out_once(yard: Yard, pools: Callable[..., Pool[Stub]]) -> None:
    pool = pools(yard)
    seen: list[Stub] = []

    def use(_: int) -> None:
        container = pool.take(SMALL)
        seen.append(container)
        time.sleep(0.001)
        pool.done(SMALL, container)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        list(threads.map(use, range(100)))
    assert len({id(container) for container in seen}) == 100
    assert yard.most <= 4


def test_a_call_never_gets_other_limits(yard: Yard, pools: Callable[..., Pool[Stub]]) -> None:
    pool = pools(yard)

    def use(number: int) -> bool:
        wanted = LARGE if number % 3 else SMALL
        container = pool.take(wanted)
        time.sleep(0.002)
        right = container.hardening is wanted
        pool.done(wanted, container)
        return right

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert all(threads.map(use, range(60)))


def test_the_ceiling_holds_and_the_queue_is_bounded(
    yard: Yard, pools: Callable[..., Pool[Stub]]
) -> None:
    pool = pools(yard)
    held = [pool.take(SMALL) for _ in range(4)]
    began = time.monotonic()
    with pytest.raises(SandboxUnavailable) as refusal:
        pool.take(SMALL, seconds=0.2)
    assert 0.2 <= time.monotonic() - began < 1
    assert refusal.value.problem.code == "sandbox.busy"
    assert yard.most == 4
    threading.Timer(0.1, pool.done, (SMALL, held[0])).start()
    assert pool.take(SMALL, seconds=5) not in held


def test_an_idle_container_makes_room_for_a_waiting_call(
    yard: Yard, pools: Callable[..., Pool[Stub]]
) -> None:
    pool = pools(yard, floor=4)
    until(lambda: pool.state().ready == 4)
    container = pool.take(LARGE, seconds=2)
    assert container.hardening is LARGE
    assert yard.most == 4


def test_more_are_kept_while_there_is_demand(yard: Yard, pools: Callable[..., Pool[Stub]]) -> None:
    pool = pools(yard, ceiling=8)
    held = [pool.take(SMALL) for _ in range(4)]
    until(lambda: pool.state().ready == 4)
    for container in held:
        pool.done(SMALL, container)
    until(lambda: pool.state().ready == 2)


def test_the_dead_and_the_old_are_replaced(yard: Yard, pools: Callable[..., Pool[Stub]]) -> None:
    pool = pools(yard, floor=1, age_seconds=0.3)
    until(lambda: pool.state().ready == 1)
    yard.made[0].dead = True
    assert pool.take(SMALL) is not yard.made[0]
    until(lambda: len(yard.buried) >= 3)
    assert pool.state().ready + pool.state().starting >= 1


def test_an_engine_that_fails_is_said_at_once(pools: Callable[..., Pool[Stub]]) -> None:
    yard = Yard()
    yard.fails = unavailable("engine", "the engine is down")
    pool = pools(yard)
    began = time.monotonic()
    for _ in range(3):
        with pytest.raises(SandboxUnavailable) as refusal:
            pool.take(SMALL, seconds=8)
        assert refusal.value.problem.code == "sandbox.engine"
    assert time.monotonic() - began < 6
    yard.fails = None
    pool.done(SMALL, pool.take(SMALL, seconds=8))


def test_closing_turns_waiting_calls_away(pools: Callable[..., Pool[Stub]]) -> None:
    yard = Yard(seconds=0.5)
    pool = pools(yard, floor=0, ceiling=1)
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(pool.take, SMALL, 5) for _ in range(2)]
        time.sleep(0.1)
        pool.close()
        for call in waiting:
            with pytest.raises(SandboxUnavailable) as refusal:
                call.result()
            assert refusal.value.problem.code == "sandbox.closed"
    assert len(yard.buried) == len(yard.made)
    with pytest.raises(SandboxUnavailable):
        pool.take(SMALL)


def test_settings_that_make_no_sense() -> None:
    for wrong in ({"floor": 5, "ceiling": 4}, {"ceiling": 0, "floor": 0}, {"starters": 0}):
        with pytest.raises(ValueError, match="floor <= ceiling"):
            PoolSettings(**wrong)  # type: ignore[arg-type]


OK = "def run(arguments):\n    return arguments['n']\n"


@pytest.fixture
def pooled(image_id: str) -> Iterator[Sandbox]:
    with Sandbox.connect(image_id, pool=PoolSettings(floor=2, ceiling=4)) as sandbox:
        yield sandbox


def ready(sandbox: Sandbox, count: int) -> bool:
    state = sandbox.pool_state()
    return state is not None and state.ready >= count


@pytest.mark.docker
def test_warm_calls_do_not_wait_for_the_engine(pooled: Sandbox) -> None:
    waited, walls = [], []
    for number in range(6):
        until(lambda: ready(pooled, 2), 20)
        execution = run(pooled, OK, {"n": number}, memory_bytes=Limits().memory_bytes)
        assert (execution.status, execution.result) == ("ok", number), execution
        waited.append(execution.usage.waited_seconds)
        walls.append(execution.usage.wall_seconds)
    assert statistics.median(waited) < 0.005
    assert statistics.median(walls) < 0.05


@pytest.mark.docker
def test_pooled_containers_are_used_once_and_all_go(image_id: str) -> None:
    sees = (
        "import os\ndef run(arguments):\n    found = os.listdir('/tmp')\n"
        "    open('/tmp/mark', 'w').close()\n    return found\n"
    )
    sandbox = Sandbox.connect(image_id, pool=PoolSettings(floor=1, ceiling=3))
    call = job(sees)  # once: CPython 3.11's ast.parse, behind make_wheel, is not safe in threads
    with concurrent.futures.ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(sandbox.execute, call) for _ in range(8)]
        for done in calls:
            assert (done.result().status, done.result().result) == ("ok", []), done.result()
    until(lambda: len(containers_of(sandbox)) >= 1, 20)
    sandbox.close()
    assert containers_of(sandbox) == []


@pytest.mark.docker
def test_limits_hold_in_a_pool(pooled: Sandbox) -> None:
    eats = "def run(arguments):\n    return len(b'x' * (80 << 20))\n"
    assert run(pooled, eats, memory_bytes=128 << 20, processes=16).status == "ok"
    assert run(pooled, eats, memory_bytes=64 << 20, processes=16).status == "resource_limit"
    assert run(pooled, eats, memory_bytes=128 << 20, processes=16).status == "ok"


@pytest.mark.docker
def test_a_warm_container_that_was_killed_is_not_given_out(pooled: Sandbox) -> None:
    until(lambda: ready(pooled, 2), 20)
    client = Engine().client
    for container in containers_of(pooled):
        client.kill(container["Id"])
    execution = pooled.execute(dataclasses.replace(job(OK, {"n": 1}), limits=Limits()))
    assert (execution.status, execution.result) == ("ok", 1), execution
