"""The cells' filter, run instruction by instruction, against the profile that it is made from."""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import struct
import tempfile
from typing import Any

import pytest

from runner.sandbox.cell import bpf
from runner.sandbox.cell.options import container_profile
from runner.sandbox.options import seccomp_profile

PROFILE = json.loads(seccomp_profile())
MACHINES = ("x86_64", "aarch64")
PIDFD_SEND_SIGNAL, PIDFD_OPEN = 424, 434
NUMBERS = [*range(520), 0x3FFFFFFF, 0x40000000, 0x40000029, 0x7FFFFFFF, 0xFFFFFFFF]
VALUES = [
    *(0, 1, 2, 10, 17, 0x11, 0x00020000, 0x02000000, 0x10000000, 0x7E020000, 0x40000000),
    *(0xFFFFFFFF, 1 << 32, (1 << 32) | 1, 0x10020000, (1 << 64) - 1),
]


def run(program: bytes, arch: int, number: int, first: int) -> int:
    """Execute the program over one `struct seccomp_data`."""
    data = struct.pack("<IIQ6Q", number, arch, 0, first, 0, 0, 0, 0, 0)
    code = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        kind, yes, no, k = code[at]
        at += 1
        match kind:
            case bpf.LOAD:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case bpf.AND:
                accumulator &= k
            case bpf.EQUAL:
                at += yes if accumulator == k else no
            case bpf.AT_LEAST:
                at += yes if accumulator >= k else no
            case bpf.JUMP:
                at += k
            case bpf.RETURN:
                return k
            case _:
                raise AssertionError(f"instruction {kind:#x}")


def meant(profile: dict[str, Any], machine: str, number: int, first: int) -> int:
    """Read the answer from the profile itself."""
    default = bpf.ERRNO | int(profile["defaultErrnoRet"])
    names = {value: name for name, value in bpf.syscall_numbers(machine).items()}
    for rule in profile["syscalls"]:
        if names.get(number) not in rule["names"]:
            continue
        for argument in rule.get("args", ()):
            assert argument["index"] == 0
            value, other = argument["value"], argument["valueTwo"]
            if argument["op"] == "SCMP_CMP_EQ" and first != value:
                break
            if argument["op"] == "SCMP_CMP_MASKED_EQ" and first & value != other:
                break
        else:
            if rule["action"] == "SCMP_ACT_ALLOW":
                return bpf.ALLOW
            return bpf.ERRNO | int(rule["errnoRet"])
    return default


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_says_what_the_profile_says(machine: str) -> None:
    program = bpf.compile_profile(PROFILE, machine)
    arch = bpf.AUDIT_ARCH[machine]
    for number in NUMBERS:
        for first in VALUES:
            wanted = meant(PROFILE, machine, number, first)
            assert run(program, arch, number, first) == wanted, (number, first)


def test_a_profile_that_is_too_long_for_short_jumps() -> None:
    """Every second system call has a condition of its own, so that the search jumps far."""
    numbers = bpf.syscall_numbers("x86_64")
    condition = {"index": 0, "op": "SCMP_CMP_EQ", "value": 17, "valueTwo": 0}
    rules = [
        {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [condition] if number % 2 else []}
        for name, number in numbers.items()
    ]
    profile = {**PROFILE, "syscalls": rules}
    program = bpf.compile_profile(profile, "x86_64")
    codes = {struct.unpack_from("<H", program, at)[0] for at in range(0, len(program), 8)}
    assert bpf.JUMP in codes
    for number in NUMBERS:
        for first in (0, 17):
            wanted = meant(profile, "x86_64", number, first)
            assert run(program, bpf.AUDIT_ARCH["x86_64"], number, first) == wanted, (number, first)


@pytest.mark.parametrize("machine", MACHINES)
def test_another_architecture_ends_the_process(machine: str) -> None:
    program = bpf.compile_profile(PROFILE, machine)
    for arch in (0x40000003, 0x40000028, 0, *bpf.AUDIT_ARCH.values()):
        if arch != bpf.AUDIT_ARCH[machine]:
            assert run(program, arch, 0, 0) == bpf.KILL_PROCESS


def test_the_other_abi_of_the_same_machine_is_refused() -> None:
    program = bpf.compile_profile(PROFILE, "x86_64")
    for number in range(520):
        answer = run(program, bpf.AUDIT_ARCH["x86_64"], bpf.X32_BIT | number, 0)
        assert answer == bpf.ERRNO | 1


def test_libseccomp_agrees() -> None:
    """What the engine's own compiler makes of the profile gives the same answers."""
    path = ctypes.util.find_library("seccomp")
    if path is None or os.uname().machine != "x86_64":
        pytest.skip("no libseccomp here; the engine's package brings it")
    library = ctypes.CDLL(path)
    library.seccomp_init.restype = ctypes.c_void_p

    class Comparison(ctypes.Structure):
        _fields_ = (
            ("arg", ctypes.c_uint),
            ("op", ctypes.c_int),
            ("a", ctypes.c_uint64),
            ("b", ctypes.c_uint64),
        )

    context = ctypes.c_void_p(library.seccomp_init(bpf.ERRNO | 1))
    operators = {"SCMP_CMP_EQ": 4, "SCMP_CMP_MASKED_EQ": 7}
    for rule in PROFILE["syscalls"]:
        allow = rule["action"] == "SCMP_ACT_ALLOW"
        action = bpf.ALLOW if allow else bpf.ERRNO | rule["errnoRet"]
        arguments = [
            Comparison(a["index"], operators[a["op"]], a["value"], a["valueTwo"])
            for a in rule.get("args", ())
        ]
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            array = (Comparison * len(arguments))(*arguments)
            added = library.seccomp_rule_add_array(
                context, ctypes.c_uint32(action), number, len(arguments), array
            )
            assert added == 0, name
    with tempfile.TemporaryFile() as file:
        assert library.seccomp_export_bpf(context, file.fileno()) == 0
        file.seek(0)
        theirs = file.read()
    library.seccomp_release(context)
    ours = bpf.compile_profile(PROFILE, "x86_64")
    arch = bpf.AUDIT_ARCH["x86_64"]
    for number in range(520):
        for first in VALUES:
            assert run(ours, arch, number, first) == _theirs(theirs, arch, number, first), number


def _theirs(program: bytes, arch: int, number: int, first: int) -> int:
    """Execute libseccomp's program, which has jumps that ours has not."""
    data = struct.pack("<IIQ6Q", number, arch, 0, first, 0, 0, 0, 0, 0)
    accumulator, at = 0, 0
    while True:
        kind, yes, no, k = struct.unpack_from("<HBBI", program, at * 8)
        at += 1
        match kind:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x05:
                at += k
            case 0x15:
                at += yes if accumulator == k else no
            case 0x25:
                at += yes if accumulator > k else no
            case 0x35:
                at += yes if accumulator >= k else no
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"instruction {kind:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_every_name_has_a_number_somewhere(machine: str) -> None:
    names = {name for rule in PROFILE["syscalls"] for name in rule["names"]}
    known = {name for each in MACHINES for name in bpf.syscall_numbers(each)}
    assert names == known
    assert set(bpf.syscall_numbers(machine)) <= names


@pytest.mark.parametrize(
    "change",
    [
        {"defaultAction": "SCMP_ACT_ALLOW"},
        {"defaultAction": "SCMP_ACT_TRACE"},
        {"syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"}]},
        {"syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}]},
        {
            "syscalls": [
                {
                    "names": ["read"],
                    "action": "SCMP_ACT_ALLOW",
                    "args": [{"index": 0, "op": "SCMP_CMP_GT", "value": 1, "valueTwo": 0}],
                }
            ]
        },
        {
            "syscalls": [
                {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["X"]}}
            ]
        },
    ],
)
def test_what_cannot_be_carried_over_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(bpf.UnsupportedProfile):
        bpf.compile_profile({**PROFILE, **change}, "x86_64")


def test_an_unknown_machine_is_refused() -> None:
    with pytest.raises(bpf.UnsupportedProfile):
        bpf.compile_profile(PROFILE, "riscv64")


def test_what_the_container_may_do_more_the_cell_may_not() -> None:
    """The two profiles differ in ten system calls; the cell's filter refuses each."""
    wide = json.loads(container_profile())
    more = {name for rule in wide["syscalls"] for name in rule["names"]} - {
        name for rule in PROFILE["syscalls"] for name in rule["names"]
    }
    assert more == {
        *("unshare", "mount", "umount2", "pivot_root", "capset"),
        *("pidfd_open", "pidfd_send_signal", "sched_setscheduler", "sendmsg", "recvmsg"),
    }
    program = bpf.compile_profile(PROFILE, "x86_64")
    numbers = {"unshare": 272, "mount": 165, "umount2": 166, "pivot_root": 155, "capset": 126}
    numbers |= {"sched_setscheduler": 144, "sendmsg": 46, "recvmsg": 47}
    for number in (*numbers.values(), PIDFD_OPEN, PIDFD_SEND_SIGNAL):
        for first in VALUES:
            assert run(program, bpf.AUDIT_ARCH["x86_64"], number, first) == bpf.ERRNO | 1
    clone = bpf.syscall_numbers("x86_64")["clone"]
    for flag in (
        0x80,
        0x20000,
        0x2000000,
        0x4000000,
        0x8000000,
        0x10000000,
        0x20000000,
        0x40000000,
    ):
        allowed = run(program, bpf.AUDIT_ARCH["x86_64"], clone, flag | 17) == bpf.ALLOW
        assert not allowed or flag == 0x80
