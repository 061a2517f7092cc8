"""PID 1 of a container of the cell level. It runs no line of a plugin's code.

Rules, in order:

1. It reads one `SETUP`: limits, the seccomp filter, the wheel. Nothing in it is secret.
2. It seals the root, forks the zygote, gives up its capabilities, makes itself undumpable.
3. Cells come ready from the zygote's berths: every wall up, blocked on their pipe.
4. Each `CALL` goes to a cell of its own; the nonce stays here. What comes back is bounded,
   answered with the nonce, and the cell is killed, with all that it started.
5. Anything that it does not expect ends the container; so does the end of stdin.
"""

from __future__ import annotations

import ctypes
import gc
import os
import select
import signal
import socket
import time
from typing import Any, NoReturn

from . import cell_meter, cell_protocol, cell_steps, cell_worker, cell_zygote, protocol
from .cell_calls import Call, Cell
from .cell_steps import CellLimits, StepFailed, Steps
from .live import Outlet
from .meters import Meters

PR_SET_DUMPABLE = 4
TICK_SECONDS = 0.05
CHUNK = 1 << 16
SPENDER_MICROS = 200_000
"""CPU time after which a call's processes give way to those of other calls."""
MOST_FAILURES = 3

EXIT_END_OF_INPUT = 70
EXIT_BAD_REQUEST = 71
EXIT_NOT_HIDDEN = 72
EXIT_NO_CELLS = 73
EXIT_NO_ZYGOTE = 74


class Inlet:
    """What the runner sends; it is read in as few pieces as it comes in."""

    def __init__(self, fd: int) -> None:
        """Take the descriptor, of which nothing has been read."""
        self.fd = fd
        self._data = bytearray()

    @property
    def pending(self) -> bool:
        """Whether something was read that nobody has taken: a frame, or how one begins."""
        return bool(self._data)

    def take(self, count: int) -> bytes:
        """Return that many bytes, once they are there; where they end before, so does PID 1."""
        while len(self._data) < count:
            chunk = os.read(self.fd, CHUNK)
            if not chunk:
                os._exit(EXIT_END_OF_INPUT)
            self._data += chunk
        taken = bytes(self._data[:count])
        del self._data[:count]
        return taken


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class Supervisor:
    """The loop of PID 1."""

    def __init__(
        self,
        inlet: Inlet,
        stdout: int,
        control: socket.socket,
        proc: int,
        limits: CellLimits,
        meters: Meters,
    ) -> None:
        self._inlet = inlet
        self._stdout = stdout
        self._outlet = Outlet(stdout)
        self._control = control
        self._proc = proc
        self._limits = limits
        self._meters = meters
        self._poll = select.poll()
        self._poll.register(inlet.fd, select.POLLIN)
        self._poll.register(control, select.POLLIN)
        self._cells: dict[int, Cell] = {}
        self._by_fd: dict[int, Cell] = {}
        self._ready: list[Cell] = []
        self._running: dict[int, Cell] = {}
        self._queue: list[Call] = []
        self._failures = 0
        self._failure = (0, 0)
        self._next_tick = 0.0
        self._killed_before = 0

    def start(self) -> None:
        """Wait for the zygote and the first cell, and say that calls can come, or why not."""
        kind, compiled, step, number, _, _ = cell_protocol.REPORT.unpack(
            self._control.recv(cell_protocol.REPORT.size).ljust(cell_protocol.REPORT.size, b"\0")
        )
        if kind != cell_protocol.STARTED:
            os._exit(EXIT_NO_ZYGOTE)
        while not step and not self._ready:
            if self._failures:
                step, number = self._failure
                break
            self._turn(None)
        done = cell_protocol.DONE.pack(cell_protocol.DONE_MAGIC, step, bool(compiled), number)
        _write(self._stdout, done)
        if step:
            os._exit(EXIT_NO_CELLS)

    def serve(self) -> NoReturn:
        """Answer calls until stdin ends."""
        while True:
            left: float | None = None
            if self._running or self._queue:
                left = max(0.0, self._next_tick - time.monotonic())
            self._turn(left)
            if self._failures >= MOST_FAILURES:
                os._exit(EXIT_NO_CELLS)
            if (self._running or self._queue) and time.monotonic() >= self._next_tick:
                self._tick()

    def _turn(self, seconds: float | None) -> None:
        """Wait for something to happen, at most that long, and handle it."""
        milliseconds = None if seconds is None else int(seconds * 1000) + 1
        for fd, _ in self._poll.poll(milliseconds):
            if fd == self._inlet.fd:
                self._take_frame()
                while self._inlet.pending:
                    self._take_frame()  # a call and its arguments may come together
            elif fd == self._control.fileno():
                self._take_report()
            elif (cell := self._by_fd.get(fd)) is not None:
                self._take_output(cell, fd)
        while self._queue and self._ready:
            self._begin(self._queue.pop(0))

    def _take_frame(self) -> None:
        start = self._inlet.take(cell_protocol.CANCEL.size)
        magic, number = cell_protocol.CANCEL.unpack(start)
        if magic == cell_protocol.CANCEL_MAGIC:
            self._cancel(number)
        elif magic == cell_protocol.GO_MAGIC:
            self._go(number, start)
        else:
            self._take_call(start)

    def _take_call(self, start: bytes) -> None:
        rest = self._inlet.take(cell_protocol.CALL.size - len(start))
        header = cell_protocol.CALL.unpack(start + rest)
        if not Call.well_formed(header):
            os._exit(EXIT_BAD_REQUEST)
        call = Call(header)
        call.names = self._inlet.take(call.module + call.name)
        self._queue.append(call)

    def _go(self, number: int, start: bytes) -> None:
        """Take the arguments of a call, with which it begins."""
        rest = self._inlet.take(cell_protocol.GO.size - len(start))
        length = cell_protocol.GO.unpack(start + rest)[2]
        if length > protocol.MAX_ARGUMENTS:
            os._exit(EXIT_BAD_REQUEST)
        arguments = self._inlet.take(length)
        cell = self._cell_of(number)
        call = cell.call if cell else next((c for c in self._queue if c.number == number), None)
        if call is None:
            return
        if call.arguments is not None or length != call.length:
            os._exit(EXIT_BAD_REQUEST)
        call.go(arguments)
        if cell is not None:
            cell.go()

    def _cell_of(self, number: int) -> Cell | None:
        """Return the cell that has a call; None for one that waits for a cell, or has ended."""
        for cell in self._running.values():
            if cell.call is not None and cell.call.number == number:
                return cell
        return None

    def _cancel(self, number: int) -> None:
        for call in self._queue:
            if call.number == number:
                self._queue.remove(call)
                self._outlet.finish(call.never_begun())
                return
        cell = self._cell_of(number)
        if cell is not None:
            self._finish(cell, cell_protocol.STOPPED)

    def _begin(self, call: Call) -> None:
        cell = self._ready.pop(0)
        if not self._running:
            self._next_tick = time.monotonic() + TICK_SECONDS
        self._running[cell.serial] = cell
        cell.begin(call, self._outlet)
        self._watch(cell, cell.logs)

    def _watch(self, cell: Cell, fds: list[int]) -> None:
        for fd in fds:
            self._by_fd[fd] = cell
            self._poll.register(fd, select.POLLIN)

    def _take_report(self) -> None:
        size = cell_protocol.REPORT.size
        report, ends, _, _ = socket.recv_fds(self._control, size, 5)
        if len(report) != size:
            os._exit(EXIT_NO_ZYGOTE)
        kind, serial, pid, code, micros, peak = cell_protocol.REPORT.unpack(report)
        if kind == cell_protocol.BORN:
            cell = Cell(serial, pid, list(ends), self._limits.output_bytes, self._proc)
            self._cells[serial] = cell
            self._watch(cell, [cell.answer])
        elif kind == cell_protocol.REFUSED:
            self._failed(pid, code)
        elif kind == cell_protocol.DEAD and serial in self._cells:
            cell = self._cells.pop(serial)
            cell.report = (code, micros, peak)
            if cell.call is not None and serial in self._running:
                self._finish(cell, None)
            elif cell in self._ready:
                self._ready.remove(cell)
                self._release(cell)

    def _failed(self, step: int, number: int) -> None:
        self._failures += 1
        self._failure = (step, number)

    def _take_output(self, cell: Cell, fd: int) -> None:
        if cell.call is None:
            self._take_announcement(cell)
            return
        ending = cell.take(fd)
        if fd not in cell.open:
            self._poll.unregister(fd)
            del self._by_fd[fd]
        if ending is not None:
            self._finish(cell, ending)

    def _take_announcement(self, cell: Cell) -> None:
        if cell in self._ready:
            # it waits for its task and has nothing to say; what it did say ends it
            self._ready.remove(cell)
            self._kill(cell)
            return
        said = cell.announced()
        if said is None:
            return
        if said[0] != 0:
            self._failed(cell_steps.LOST if said[0] < 0 else said[0], said[1])
            self._kill(cell)
            return
        self._failures = 0
        self._ready.append(cell)

    def _kill(self, cell: Cell) -> None:
        """End a cell, and forget its pipes; the kernel ends everything in its PID namespace."""
        cell.kill()
        self._release(cell)

    def _release(self, cell: Cell) -> None:
        for fd in list(cell.open):
            if self._by_fd.pop(fd, None) is not None:
                self._poll.unregister(fd)
        cell.close()

    def _finish(self, cell: Cell, ending: int | None, *, drain: bool = True) -> None:
        del self._running[cell.serial]
        if drain or ending is None:
            ending = cell.drain(ending)
        killed = self._meters.killed()
        frame = cell.response(ending, killed - self._killed_before)
        self._killed_before = killed
        cell.kill()
        self._outlet.finish(frame)
        self._release(cell)

    def _tick(self) -> None:
        """Hold every running call to its wall clock, CPU time and memory."""
        now = time.monotonic()
        self._next_tick = now + TICK_SECONDS
        for call in [call for call in self._queue if call.end <= now]:
            # no cell came in time; the runner's own clock answers it
            self._queue.remove(call)
        family = cell_meter.Family(self._proc)
        for cell in list(self._running.values()):
            if cell.call is None:
                continue
            if cell.live is not None:
                cell.live.tick(now)
            pids = family.of(cell.pid)
            micros = family.micros(pids)
            resident = family.resident(pids, self._limits.memory_bytes)
            cell.peak = max(cell.peak, resident >> 10)
            if cell.call.end <= now:
                self._finish(cell, protocol.WALL_LIMIT)
            elif micros > self._limits.cpu_seconds * 1_000_000:
                self._finish(cell, protocol.CPU_LIMIT)
            elif resident > self._limits.memory_bytes:
                self._finish(cell, cell_protocol.MEMORY_LIMIT)
            elif micros > SPENDER_MICROS:
                family.demote(pids)


def _well_formed(header: tuple[Any, ...]) -> bool:
    magic, wheel, program, memory, processes, cells, cpu, output, files, file, tmp, inodes = header
    return bool(
        magic == cell_protocol.SETUP_MAGIC
        and 0 < wheel <= protocol.MAX_WHEEL
        and 0 < program <= cell_protocol.MAX_FILTER
        and 0 < cells <= cell_protocol.MAX_CELLS
        and 0 < output <= protocol.MAX_OUTPUT
        and all((memory, processes, cpu, files, file, tmp, inodes))
    )


def _not_done(error: StepFailed) -> bytes:
    return cell_protocol.DONE.pack(cell_protocol.DONE_MAGIC, error.step, 0, error.number)


def main(steps: Steps | None = None) -> NoReturn:
    """Be PID 1. `steps` is for tests, which start the container with a command of their own."""
    steps = steps or Steps()
    cell_worker.set_streams()
    stdin, stdout = os.dup(0), os.dup(1)
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for standard in (0, 1):
        os.dup2(null, standard)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    cell_zygote.warm_up()
    _write(stdout, protocol.READY)
    inlet = Inlet(stdin)
    header = cell_protocol.SETUP.unpack(inlet.take(cell_protocol.SETUP.size))
    if not _well_formed(header):
        os._exit(EXIT_BAD_REQUEST)
    program, wheel = inlet.take(header[2]), inlet.take(header[1])
    _, _, _, memory, processes, cells, cpu, output, files, file, tmp, inodes = header
    limits = CellLimits(memory, processes, cpu, output, files, file, tmp, inodes)
    meters = Meters()
    try:
        if steps.sealed_root:
            cell_steps.seal_root(proc)
    except StepFailed as error:
        _write(stdout, _not_done(error))
        os._exit(EXIT_NO_CELLS)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            for fd in (stdin, stdout, null):
                os.close(fd)
            ours.close()
            meters.close()
            zygote = cell_zygote.Zygote(steps, limits, program, wheel, proc)
            zygote.run(theirs, cells + cell_protocol.SPARE_CELLS)
        finally:
            os._exit(EXIT_NO_ZYGOTE)
    theirs.close()
    os.dup2(null, 2)
    del wheel, program
    if steps.drop_capabilities:
        try:
            cell_steps.drop_capabilities()
        except StepFailed as error:
            _write(stdout, _not_done(error))
            os._exit(EXIT_NO_CELLS)
    if ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        os._exit(EXIT_NOT_HIDDEN)
    gc.collect()
    gc.freeze()
    gc.disable()
    supervisor = Supervisor(inlet, stdout, ours, proc, limits, meters)
    supervisor.start()
    supervisor.serve()
