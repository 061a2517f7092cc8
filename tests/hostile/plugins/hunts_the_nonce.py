"""Tries: find the nonce, or the supervisor's memory.

Expected: ok
Stopped by: fork before the request arrives; PR_SET_DUMPABLE
"""

import gc
import os
import re
import struct
import sys


def run(arguments):
    escaped = []
    magic = b"SGQ" + bytes([len(arguments) + 49])
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if match is None:
                continue
            begin, end = (int(text, 16) for text in match.groups())
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except (OSError, OverflowError, ValueError):
                continue
            for hit in re.finditer(re.escape(magic), data):
                header = data[hit.start() : hit.start() + 28]
                if len(header) == 28 and struct.unpack(">16xIII", header) == (1500, 1, 256 << 10):
                    escaped.append(header.hex())
    for name in ("mem", "maps", "environ", "stack", "auxv", "io", "cwd", "root", "exe"):
        try:
            path = f"/proc/1/{name}"
            if name in ("cwd", "root", "exe"):
                os.readlink(path)
            else:
                with open(path, "rb", buffering=0) as file:
                    file.read(1)
            # gVisor shows environ and auxv of PID 1: there is nothing in them
            if name == "mem" or (name in ("environ", "stack") and arguments["runtime"] == "runc"):
                escaped.append(path)
        except OSError:
            continue
    if any(type(item).__name__ == "_Call" for item in gc.get_objects()):
        escaped.append("the supervisor's call")
    frame = sys._getframe()
    while frame is not None:
        if "nonce" in frame.f_locals or "nonce" in frame.f_globals:
            escaped.append(frame.f_code.co_name)
        frame = frame.f_back
    if any(name.startswith("_sealgate") for name in sys.modules):
        escaped.append("the harness's modules")
    return {"escaped": escaped}
