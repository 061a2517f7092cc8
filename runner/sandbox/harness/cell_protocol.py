"""The frames of the cell level, between runner, supervisor, zygote and cells.

All integers are unsigned and big-endian unless their format says otherwise. The container first
writes `protocol.READY`, takes one `SETUP` (followed by the filter and the wheel), and answers it
with one `DONE`. From then on it takes `CALL` frames at any time (followed by the module name and
the qualified name), for each a `GO` (followed by the arguments), which may be long in coming, and
writes one `RESPONSE` for each, in any order, followed by the result, stdout and stderr; before it
come `LOG` frames, if the call asked for them. Endings and usage are those of `protocol`.

Without its arguments a cell runs nothing of the wheel. The runner holds them back until the call's
record is durable.
"""

from __future__ import annotations

import struct

SETUP_MAGIC = b"SGS1"
DONE_MAGIC = b"SGD1"
CALL_MAGIC = b"SGC3"
GO_MAGIC = b"SGG1"
LOG_MAGIC = b"SGM1"
CANCEL_MAGIC = b"SGX1"
RESPONSE_MAGIC = b"SGB1"
ANNOUNCE_MAGIC = b"SGN1"

SETUP = struct.Struct(">4sIIQHHIIIIII")
"""magic, wheel bytes, filter bytes, memory bytes of one cell, processes of one cell, cells at one
time, CPU seconds, output bytes, open files, file bytes, bytes of /tmp, inodes of /tmp."""

DONE = struct.Struct(">4sBBxxi")
"""magic, the step that failed (0: none, the container takes calls), whether compiled code is at
hand, errno (signed)."""

CALL = struct.Struct(">4sIIHHIBxxx16s32s")
"""magic, call number, argument bytes, module bytes, qualified name bytes, wall milliseconds, flags
(`protocol.LIVE` or none), tag of `LOG` frames, nonce."""

LOG = struct.Struct(">4sIBxxxII16s")
"""magic, call number, stream, data bytes, bytes left out before them, tag; as `protocol.LOG`."""

GO = struct.Struct(">4sII")
"""magic, call number, argument bytes, as many as its `CALL` said; the call's wall clock begins with
it. That of a call which has ended is dropped. It begins as a `CANCEL` does, and a `CALL`."""

CANCEL = struct.Struct(">4sI")
"""magic, call number; comes where a `CALL` may come, which begins in the same way. A call that is
under way is killed and answered with `STOPPED`; for one that has ended nothing happens."""

RESPONSE = struct.Struct(">4sIBxxxIIIiIIII32s")
"""magic, call number, ending, result bytes, stdout bytes, stderr bytes, exit code (signed), CPU
microseconds, peak memory in KiB, processes killed for memory, processes denied, nonce."""

ANNOUNCE = struct.Struct(">4sBxxxi")
"""What a cell writes on its answer pipe before any plugin code is loaded: magic, the step that
failed (0: none), errno (signed)."""

TASK = struct.Struct(">IHH")
"""What a cell reads: argument bytes, module bytes, qualified name bytes; then the parts."""

REPORT = struct.Struct(">cIiiQQ")
"""Zygote and berths to supervisor: kind, serial number, PID, exit code (signed), CPU microseconds,
peak memory in KiB. With BORN come five descriptors: the cell itself (a PID descriptor), task,
answer, stdout, stderr."""
BORN = b"B"
DEAD = b"D"
REFUSED = b"F"
"""The kernel made no process; the exit code is the errno."""
STARTED = b"G"
"""Once, before anything else: whether compiled code is at hand, as the serial number; the failed
step, as the PID; errno, as the exit code."""

MEMORY_LIMIT = 8
"""An ending beside those of `protocol`: the cell's processes held more memory than allowed."""

STOPPED = 9
"""An ending beside those of `protocol`: the runner cancelled the call."""

MAX_FILTER = 4096 * 8
"""The kernel takes 4096 instructions of 8 bytes."""
MAX_CELLS = 64
SPARE_CELLS = 2
"""Cells that wait for a call while as many as may run at one time are running."""
SPARE_CELLS = 2
"""Cells that wait for a call while as many as may run at one time are running."""
MAX_COMPILED = 64 << 20
"""Upper bound of a wheel's compiled code, in bytes; a larger wheel is compiled call by call."""
