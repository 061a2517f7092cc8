"""The frames between runner, supervisor and worker: layouts, codes and hard bounds.

All integers are unsigned and big-endian. The runner sends one `REQUEST`, followed by the module
name, the qualified name, the wheel and the arguments; it gets `READY` before that and one
`RESPONSE` after it, followed by the result, stdout and stderr. Between the two come `LOG` frames,
each followed by its data, if the request asked for them. The worker gets a `TASK`, followed
by the same four parts, and never nonce or tag; it hands back one `ANSWER`, followed by its payload.

The arguments come last, and may come later: until the worker has them all, it runs nothing of the
wheel. The runner holds them back until the call's record is durable.
"""

from __future__ import annotations

import struct

READY = b"SGR1"
"""What the supervisor writes when it waits for its one request."""

# The last character of a magic is the version of its layout.
REQUEST_MAGIC = b"SGQ3"
LOG_MAGIC = b"SGL1"
RESPONSE_MAGIC = b"SGA1"
MAGIC_BYTES = 4
NONCE_BYTES = 32
TAG_BYTES = 16

REQUEST = struct.Struct(">4sIIHHIIIBxxx16s32s")
"""magic, wheel bytes, argument bytes, module bytes, qualified name bytes, wall milliseconds,
CPU seconds, output bytes (result; and stdout with stderr), flags (LIVE or none), tag of `LOG`
frames, nonce."""

LIVE = 1
"""The flag of a request that wants `LOG` frames."""

LOG = struct.Struct(">4sBxxxII16s")
"""magic, stream (0: stdout, 1: stderr), data bytes, bytes of that stream left out before them, tag.
The tag is not the nonce: whoever sees it can forge what the plugin wrote, and no response."""

RESPONSE = struct.Struct(">4sBBxxIIIiIIII32s")
"""magic, ending, usage source, result bytes, stdout bytes, stderr bytes, exit code, CPU
milliseconds, peak memory in KiB, processes killed for memory, processes denied, nonce."""

TASK = struct.Struct(">IIHHII")
"""wheel bytes, argument bytes, module bytes, qualified name bytes, CPU seconds, output bytes."""

ANSWER = struct.Struct(">BI")
"""ending (RESULT, EXCEPTION or RESULT_LIMIT), payload bytes."""

MAX_WHEEL = 64 << 20
MAX_ARGUMENTS = 8 << 20
MAX_NAME = 1024
MAX_OUTPUT = 16 << 20
LOG_BYTES = 4096
"""Output that is not held back any longer, in bytes of one stream."""
LOG_SECONDS = 0.05
"""How long less than that is held back."""
MAX_BACKLOG = 256 << 10
"""Bytes of `LOG` frames that wait for the runner; what does not fit is left out."""
MAX_ERROR = 64 << 10
"""Upper bound of an exception's payload, in bytes."""

# How a call ended, as the supervisor saw it.
RESULT = 0
"""The worker answered; the payload is the result, JSON."""
EXCEPTION = 1
"""The plugin raised; the payload is {"type", "message", "traceback"}, JSON."""
DIED = 2
"""The worker ended without an answer; the exit code says how."""
RESULT_LIMIT = 3
"""The result was longer than allowed."""
OUTPUT_LIMIT = 4
"""stdout and stderr together were longer than allowed."""
WALL_LIMIT = 5
"""The wall clock ran out."""
CPU_LIMIT = 6
"""The container's processes used more CPU time than allowed."""
BAD_ANSWER = 7
"""What stood on the result pipe was not an answer."""

ENDINGS = range(8)

# Where CPU time and peak memory come from.
FROM_RUSAGE = 0
"""getrusage(RUSAGE_CHILDREN): reaped descendants only."""
FROM_CGROUP = 1
"""The container's cgroup: every process, page cache and tmpfs, and the supervisor itself."""
