"""The stage of the demonstration: runs real `sealgate` commands, shows them, keeps the score."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMMAND_SECONDS = 180
FIRST_LINES, LAST_LINES = 11, 4


@dataclass(frozen=True, slots=True)
class Row:
    """One promise and whether it held."""

    promise: str
    expected: str
    seen: str
    held: bool


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The standard output as JSON."""
        return json.loads(self.out)


@dataclass(slots=True)
class Stage:
    """Runs commands of a deployment and records which promises held."""

    home: Path
    rows: list[Row] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def title(self, text: str) -> None:
        """Print the head of a chapter with the seconds since the start."""
        print(f"\n── {text} {'─' * max(2, 74 - len(text))} {self.elapsed:5.1f} s", flush=True)

    @property
    def elapsed(self) -> float:
        """Seconds since the demonstration began."""
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        """Print a line of the story."""
        print(text, flush=True)

    def sealgate(self, *arguments: str | Path, quiet: bool = False) -> Ran:
        """Run one `sealgate` command of this deployment and show it with its output."""
        words = [str(argument) for argument in arguments]
        self.say(f"$ sealgate {shlex.join(words)}")
        ran = self._run([sys.executable, "-m", "sealgate", "--home", str(self.home), *words])
        if not quiet:
            lines = [line for line in (ran.out + ran.err).splitlines() if line.strip()]
            if len(lines) > FIRST_LINES + LAST_LINES + 1:
                left_out = f"… {len(lines) - FIRST_LINES - LAST_LINES} more lines"
                lines = [*lines[:FIRST_LINES], left_out, *lines[-LAST_LINES:]]
            for line in lines:
                print(f"    {line[:150]}")
            sys.stdout.flush()
        return ran

    def _run(self, command: Sequence[str]) -> Ran:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=COMMAND_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Ran(124, "", f"no answer within {COMMAND_SECONDS} s")
        return Ran(done.returncode, done.stdout, done.stderr)

    def expect(self, promise: str, expected: str, seen: str, *, held: bool) -> None:
        """Record whether a promise held, and say so."""
        self.rows.append(Row(promise, expected, seen, held))
        print(f"  {'✔' if held else '✘ BROKEN PROMISE:'} {promise}: {seen}", flush=True)

    def summary(self) -> bool:
        """Print all promises; return whether every one of them held."""
        self.title("What was promised, and what happened")
        width = max(len(row.promise) for row in self.rows)
        for row in self.rows:
            print(f"  {'✔' if row.held else '✘'} {row.promise:<{width}}  {row.seen[:100]}")
            if not row.held:
                print(f"    expected: {row.expected}")
        broken = sum(not row.held for row in self.rows)
        print(f"\n{len(self.rows)} promises, {broken} broken, {self.elapsed:.0f} s")
        return bool(self.rows) and broken == 0
