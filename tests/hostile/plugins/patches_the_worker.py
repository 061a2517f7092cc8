"""Tries: replace json, os, struct and the exit in its own process.

Expected: ok, plugin_error, protocol_error
Runtimes: runc
Stopped by: the worker is not trusted; the supervisor is another process
"""

import builtins
import json
import os
import struct


def run(arguments):
    json.dumps = lambda *_, **__: '{"escaped": []}'
    os.write = lambda *_: 0
    os._exit = lambda *_: None
    struct.pack = lambda *_: b"\x00" * 1000
    builtins.len = lambda _: 1 << 40
    return {"escaped": []}
