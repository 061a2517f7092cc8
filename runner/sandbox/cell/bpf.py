"""From a seccomp profile as the engine takes it to the program that the kernel takes.

One source, `seccomp.json`, makes both filters: the engine installs it around a container, and
every cell installs what `compile_profile` makes of it. Classic BPF over `struct seccomp_data`, as
in seccomp(2) and the kernel's Documentation/userspace-api/seccomp_filter.rst.

The program refuses what it does not know: another architecture ends the process, an x32 call and
a system call without a rule get the profile's default error.
"""

from __future__ import annotations

import importlib.resources
import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

LOAD = 0x20
"""BPF_LD | BPF_W | BPF_ABS"""
AND = 0x54
"""BPF_ALU | BPF_AND | BPF_K"""
EQUAL = 0x15
"""BPF_JMP | BPF_JEQ | BPF_K"""
AT_LEAST = 0x35
"""BPF_JMP | BPF_JGE | BPF_K"""
JUMP = 0x05
"""BPF_JMP | BPF_JA"""
RETURN = 0x06
"""BPF_RET | BPF_K"""
MAX_SKIP = 255
"""How far a conditional jump goes, in instructions; a plain jump goes anywhere."""

NUMBER_AT = 0
ARCH_AT = 4
ARGUMENTS_AT = 16
ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
X32_BIT = 0x40000000
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MAX_INSTRUCTIONS = 4096
_MASK = 0xFFFFFFFF

Instruction = tuple[int, int, int, int]
"""code, jump if true, jump if false, k."""


class UnsupportedProfile(ValueError):
    """The profile says something that this compiler cannot carry over exactly."""


def syscall_numbers(machine: str) -> dict[str, int]:
    """Return the numbers of the profile's system calls, by name.

    Raises:
        UnsupportedProfile: no table for that machine.
    """
    tables = json.loads(
        importlib.resources.files(__package__).joinpath("syscalls.json").read_bytes()
    )
    if machine not in tables:
        raise UnsupportedProfile(f"no system call numbers for {machine}")
    return dict(tables[machine])


def _action(rule: Mapping[str, Any]) -> int:
    match rule["action"]:
        case "SCMP_ACT_ALLOW":
            return ALLOW
        case "SCMP_ACT_ERRNO":
            return ERRNO | int(rule.get("errnoRet", 1))
        case other:
            raise UnsupportedProfile(f"action {other}")


def _condition(argument: Mapping[str, Any], skip: int) -> list[Instruction]:
    """Return instructions that jump over the next `skip` ones unless the condition holds."""
    operator, value, other = argument["op"], int(argument["value"]), int(argument["valueTwo"])
    match operator:
        case "SCMP_CMP_EQ":
            mask, wanted = (1 << 64) - 1, value
        case "SCMP_CMP_MASKED_EQ":
            mask, wanted = value, other
        case _:
            raise UnsupportedProfile(f"operator {operator}")
    at = ARGUMENTS_AT + 8 * int(argument["index"])
    low = [(LOAD, 0, 0, at), (AND, 0, 0, mask & _MASK), (EQUAL, 0, skip, wanted & _MASK)]
    return [
        (LOAD, 0, 0, at + 4),
        (AND, 0, 0, mask >> 32),
        (EQUAL, 0, skip + len(low), wanted >> 32),
        *low,
    ]


def _leaf(rules: Sequence[Mapping[str, Any]], default: int) -> list[Instruction]:
    """Return the instructions of one system call: its rules in their order, then the default."""
    program: list[Instruction] = []
    for rule in rules:
        body: list[Instruction] = [(RETURN, 0, 0, _action(rule))]
        for argument in reversed(list(rule.get("args") or ())):
            body = [*_condition(argument, len(body)), *body]
        program += body
        if not rule.get("args"):
            return program
    return [*program, (RETURN, 0, 0, default)]


def _ranges(
    rules: Mapping[int, Sequence[Mapping[str, Any]]], default: int
) -> list[tuple[int, list[Instruction]]]:
    """Return (first number, instructions): neighbours with the same instructions are one range."""
    found: list[tuple[int, list[Instruction]]] = [(0, _leaf((), default))]
    for number in sorted({each for known in rules for each in (known, known + 1)}):
        leaf = _leaf(rules.get(number, ()), default)
        if leaf == found[-1][1]:
            continue
        if found[-1][0] == number:
            found.pop()
        found.append((number, leaf))
    return found


def _search(ranges: Sequence[tuple[int, list[Instruction]]]) -> list[Instruction]:
    """Return a binary search for the range of the number in the accumulator.

    The kernel walks the program once for every system call that there is when it is installed,
    which each cell does: a search makes that ten times shorter than a list.
    """
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    first = ranges[middle][0]
    if len(below) <= MAX_SKIP:
        return [(AT_LEAST, len(below), 0, first), *below, *above]
    return [(AT_LEAST, 0, 1, first), (JUMP, 0, 0, len(below)), *below, *above]


def instructions(profile: Mapping[str, Any], machine: str) -> list[Instruction]:
    """Return the program for one machine.

    Args:
        profile: in the format of the engine's `--security-opt seccomp=`.
        machine: `x86_64` or `aarch64`.

    Raises:
        UnsupportedProfile: an action, an operator, a name or a machine that is not supported.
    """
    numbers = syscall_numbers(machine)
    every = {name for known in ("x86_64", "aarch64") for name in syscall_numbers(known)}
    default = _action(
        {"action": profile["defaultAction"], "errnoRet": profile.get("defaultErrnoRet", 1)}
    )
    if default == ALLOW:
        raise UnsupportedProfile("a profile that allows what it does not name")
    rules: dict[int, list[Mapping[str, Any]]] = {}
    for rule in profile["syscalls"]:
        if rule.get("includes") or rule.get("excludes"):
            raise UnsupportedProfile("rules that depend on the container")
        for name in rule["names"]:
            if name not in every:
                raise UnsupportedProfile(f"no number for {name}")
            if name in numbers:
                rules.setdefault(numbers[name], []).append(rule)
    if any(number >= X32_BIT for number in rules):
        raise UnsupportedProfile("a rule for an x32 call")
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCH_AT),
        (EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
        *_search(_ranges(rules, default)),
    ]
    if len(program) > MAX_INSTRUCTIONS:
        raise UnsupportedProfile(f"{len(program)} instructions")
    return program


def compile_profile(profile: Mapping[str, Any], machine: str) -> bytes:
    """Return the program as the kernel takes it: 8 bytes an instruction, in native byte order."""
    return b"".join(struct.pack("<HBBI", *each) for each in instructions(profile, machine))
