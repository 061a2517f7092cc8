"""Tries: make system calls through the 32-bit and x32 doors, which a filter may forget.

Expected: plugin_error
Machine: x86_64
Expected under runsc: ok, plugin_error
Stopped by: the seccomp profile knows one architecture; a call of another ends the process
"""

import ctypes
import mmap


def execute(code):
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return ctypes.CFUNCTYPE(ctypes.c_long)(address)()


def run(arguments):
    # x32: socket(AF_INET, SOCK_STREAM, 0) by number 41 with bit 30 set
    x32 = execute(bytes.fromhex("b829000040bf02000000be0100000031d20f05c3"))
    # 32-bit: socket(AF_INET, SOCK_STREAM, 0) is number 359 behind int 0x80
    i386 = execute(bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3"))
    return {"escaped": [n for n, v in (("x32", x32), ("i386", i386 & 0xFFFFFFFF)) if 0 <= v < 256]}
