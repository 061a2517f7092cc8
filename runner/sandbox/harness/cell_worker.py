"""What runs inside a cell, once every wall stands: the compiler, or one call of a plugin."""

from __future__ import annotations

import marshal
import os
import select
import signal
import sys
import zipfile
from collections.abc import Callable
from typing import Any, NoReturn

from . import cell_protocol, protocol, walk, wheelfinder, worker

TASK_FD = 3
ANSWER_FD = 4
PLACES = (TASK_FD, ANSWER_FD, 1, 2)
"""Where a cell has its ends of the four pipes: task, answer, stdout, stderr."""
EXIT_NO_TASK = 78
WALK_SECONDS = 0.01
"""How long a cell waits for its task before it walks the road ahead: where calls come faster, the
processor has other things to do."""


def _read(fd: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = os.read(fd, min(1 << 16, count - len(data)))
        if not chunk:
            os._exit(EXIT_NO_TASK)
        data += chunk
    return bytes(data)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _await_the_end(_: int, pause: Callable[[], None] = signal.pause) -> NoReturn:
    """Wait to be killed: PID 1 reads what the cell has used while it is still there."""
    while True:
        pause()


class CompiledWheelLoader(wheelfinder.WheelLoader):
    """A wheel with its modules' code compiled by an earlier cell, which ran none of it.

    That cell has also listed the members, so that an archive is opened only where a call reads
    data of its wheel.
    """

    def __init__(self, wheel: bytes, compiled: bytes) -> None:
        """Take the wheel and what `compiled` made of it, or b"".

        Raises:
            zipfile.BadZipFile: the wheel is no archive.
        """
        self._wheel = wheel
        self._ahead = {}
        try:
            # in a cell, of a cell
            self._names, self._folders, self._compiled = marshal.loads(compiled)  # noqa: S302
        except (ValueError, EOFError, TypeError):
            self._compiled = {}
            super().__init__(wheel)

    def __getattr__(self, name: str) -> Any:
        """Open the archives when somebody asks for them."""
        if name != "_archives":
            raise AttributeError(name)
        self._archives = wheelfinder.WheelLoader(self._wheel)._archives
        return self._archives

    def get_code(self, fullname: str) -> Any:
        """Return a module's code: compiled already, or compiled now."""
        code = self._compiled.get(fullname)
        if code is None:
            return super().get_code(fullname)
        return self._ahead.pop(fullname, None) or marshal.loads(code)  # noqa: S302 - as above

    def compile_ahead(self, fullname: str) -> None:
        """Make the code of a module and of the packages around it ready, as far as it is here."""
        parts = fullname.split(".")
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            if name in self._compiled:
                self._ahead[name] = marshal.loads(self._compiled[name])  # noqa: S302 - as above


def compiled(loader: wheelfinder.WheelLoader) -> bytes:
    """Return what `CompiledWheelLoader` takes: the code of every module of a wheel.

    Runs no line of the wheel. What does not compile is left out; the call that imports it gets
    the error.
    """
    code: dict[str, bytes] = {}
    for name in loader.modules():
        try:
            code[name] = marshal.dumps(loader.get_code(name))
        except (SyntaxError, ValueError, MemoryError, RecursionError, zipfile.BadZipFile):
            continue
    return marshal.dumps((loader._names, loader._folders, code))


def compile_all(wheel: bytes, answer: int) -> NoReturn:
    """Compile every module of a wheel, write the code as an answer, and end the process."""
    payload = compiled(wheelfinder.WheelLoader(wheel))
    _write(answer, protocol.ANSWER.pack(protocol.RESULT, len(payload)) + payload)
    os._exit(0)


def set_streams() -> None:
    """Set how stdout and stderr are written; what is forked from this process has them so."""
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def run(wheel: bytes, compiled: bytes, walked: bytes, output_bytes: int) -> NoReturn:
    """Say that the cell is ready, wait for one task, run it, answer, and end the process.

    Args:
        wheel: the wheel.
        compiled: what `compiled` made of it, or b"".
        walked: what `compiled` made of `walk.wheel()`.
        output_bytes: bound of the result, in bytes.
    """
    loader: wheelfinder.WheelLoader | Exception
    try:
        loader = CompiledWheelLoader(wheel, compiled)
    except Exception as error:  # noqa: BLE001 - what is wrong with a wheel is the call's answer
        loader = error
    worker.forget_harness()
    _write(ANSWER_FD, cell_protocol.ANNOUNCE.pack(cell_protocol.ANNOUNCE_MAGIC, 0, 0))
    if not select.select([TASK_FD], [], [], WALK_SECONDS)[0]:
        walk.along(CompiledWheelLoader(b"", walked))
    header = cell_protocol.TASK.unpack(_read(TASK_FD, cell_protocol.TASK.size))
    argument_bytes, module_bytes, name_bytes = header
    module = _read(TASK_FD, module_bytes).decode()
    qualname = _read(TASK_FD, name_bytes).decode()
    if isinstance(loader, wheelfinder.WheelLoader):
        loader.compile_ahead(module)
    # whoever waits here has run nothing of the wheel, and cannot: nothing imports from it yet
    arguments = _read(TASK_FD, argument_bytes)
    os.close(TASK_FD)

    def work() -> bytes:
        return worker.begin(loader, module, qualname, arguments)

    worker.finish(ANSWER_FD, output_bytes, work, _await_the_end)
