"""The worker: the process that runs the plugin. Nothing that it says is trusted."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from . import protocol, wheelfinder

MESSAGE_CHARACTERS = 2000
TRACEBACK_CHARACTERS = 8000


def _read(fd: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = os.read(fd, min(1 << 16, count - len(data)))
        if not chunk:
            os._exit(76)
        data += chunk
    return bytes(data)


def _clean(text: str, limit: int) -> str:
    """Return text that strict JSON can carry, cut to `limit` characters."""
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _describe(error: BaseException) -> bytes:
    """Return an exception as JSON; never raises, whatever its class does."""
    kind = type(error).__qualname__
    try:
        message = str(error)
    except BaseException as other:  # noqa: BLE001 - an author's __str__ may raise anything
        message = f"(its message cannot be shown: {type(other).__name__})"
    try:
        frames = error.__traceback__
        while frames is not None and not frames.tb_frame.f_code.co_filename.startswith(
            wheelfinder.ROOT
        ):
            frames = frames.tb_next
        trace = "".join(traceback.format_exception(type(error), error, frames, limit=-16))
    except BaseException:  # noqa: BLE001 - as above
        trace = ""
    return json.dumps(
        {
            "type": _clean(kind, 200),
            "message": _clean(message, MESSAGE_CHARACTERS),
            "traceback": _clean(trace, TRACEBACK_CHARACTERS),
        },
        ensure_ascii=False,
    ).encode()


def _resolve(module: Any, qualname: str) -> Any:
    """Return the callable that the manifest names: `function` or `Class.method`.

    It takes one positional argument, the arguments object.
    A static or class method is called as it is; for any other, the class is instantiated with no
    arguments first.
    """
    owner, _, name = qualname.rpartition(".")
    if not owner:
        return getattr(module, name)
    cls = getattr(module, owner)
    if not isinstance(cls, type):
        raise TypeError(f"{owner!r} is not a class")
    for base in cls.__mro__:
        if name in vars(base):
            if isinstance(vars(base)[name], (staticmethod, classmethod)):
                return getattr(cls, name)
            return getattr(cls(), name)
    raise AttributeError(f"class {owner!r} has no method {name!r}")


def call(loader: wheelfinder.WheelLoader, module: str, qualname: str, arguments: bytes) -> bytes:
    """Import the module from the loader's wheel, call the callable, return its result as JSON."""
    import importlib

    if not loader.provides(module):
        raise ImportError(f"the wheel has no module {module!r}", name=module)
    imported = importlib.import_module(module)
    if getattr(imported.__spec__, "loader", None) is not loader:
        raise ImportError(
            f"{module!r} is not the wheel's: the standard library has it", name=module
        )
    result = _resolve(imported, qualname)(json.loads(arguments))
    return json.dumps(result, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def begin(
    loader: wheelfinder.WheelLoader | Exception, module: str, qualname: str, arguments: bytes
) -> bytes:
    """Make the wheel importable and do as `call`; `loader` may be what is wrong with the wheel."""
    if isinstance(loader, Exception):
        raise loader
    wheelfinder.install(loader)
    return call(loader, module, qualname, arguments)


def _limit(cpu_seconds: int) -> None:
    # one second between the catchable signal and the certain one
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))


def forget_harness() -> None:
    """Take the harness's own modules out of the plugin's sight; it could import its own so."""
    package = __name__.rpartition(".")[0]
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        del sys.modules[name]


def run(task: int, answer: int) -> None:
    """Read one task, run it, write one answer; never returns.

    Args:
        task: a descriptor to read a `protocol.TASK` and its parts from.
        answer: a descriptor to write a `protocol.ANSWER` and its payload to.
    """
    header = protocol.TASK.unpack(_read(task, protocol.TASK.size))
    wheel_bytes, argument_bytes, module_bytes, name_bytes, cpu_seconds, output_bytes = header
    module = _read(task, module_bytes).decode()
    qualname = _read(task, name_bytes).decode()
    wheel = _read(task, wheel_bytes)
    _limit(cpu_seconds)
    loader: wheelfinder.WheelLoader | Exception
    try:
        loader = wheelfinder.WheelLoader(wheel)
        loader.compile_ahead(module)
    except Exception as error:  # noqa: BLE001 - what is wrong with a wheel is the call's answer
        loader = error
    forget_harness()
    # whoever waits here has run nothing of the wheel, and cannot: nothing imports from it yet
    arguments = _read(task, argument_bytes)
    os.close(task)
    finish(answer, output_bytes, lambda: begin(loader, module, qualname, arguments))


def finish(
    answer: int,
    output_bytes: int,
    work: Callable[[], bytes],
    leave: Callable[[int], NoReturn] = os._exit,
) -> NoReturn:
    """Run `work`, write one answer, and leave.

    Args:
        answer: a descriptor to write a `protocol.ANSWER` and its payload to.
        output_bytes: bound of the result, in bytes.
        work: calls the plugin; returns the result as JSON.
        leave: ends the process, or waits for its end.
    """
    write, pack, clean = os.write, protocol.ANSWER.pack, _describe
    ending, cap = protocol.RESULT, output_bytes
    try:
        payload = work()
    except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is its answer
        ending, cap = protocol.EXCEPTION, protocol.MAX_ERROR
        payload = clean(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):  # the plugin may have replaced it
            stream.flush()
    if len(payload) > cap:
        ending, payload = protocol.RESULT_LIMIT, b""
    frame = memoryview(pack(ending, len(payload)) + payload)
    while frame:
        frame = frame[write(answer, frame) :]
    leave(0)
