"""Refuse a dependency under the GPL or AGPL: reads what is installed, names each offender."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys

REFUSED = ("GPL", "AGPL", "GNU GENERAL", "GNU AFFERO")
"""Words that mark a refused licence. The LGPL is not refused: `LGPL` is taken out first."""

PARTLY = {
    "docutils": ("the GPL is that of an Emacs mode, which the wheel does not have", ".el"),
}
"""Distributions whose refused licence covers files that are not installed: why, and the files'
suffix, which is looked for each time."""


def excused(name: str) -> bool:
    """Tell whether the files under the refused licence are not there."""
    if name not in PARTLY:
        return False
    files = importlib.metadata.files(name)
    suffix = PARTLY[name][1]
    return files is not None and not any(file.name.endswith(suffix) for file in files)


def main() -> int:
    """Return 0 when no installed distribution is under a refused licence."""
    command = [sys.executable, "-m", "piplicenses", "--format=json", "--from=all"]
    rows = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if not rows:
        print("pip-licenses listed nothing: the check did not run", file=sys.stderr)
        return 1
    offenders = []
    for row in rows:
        names = [row[key] for key in row if key.startswith("License")]
        text = "; ".join(names).upper().replace("LGPL", "").replace("GNU LESSER GENERAL", "")
        # a choice of licences is fine when one of the choices is
        refused = any(word in text for word in REFUSED) and " OR " not in text
        if refused and not excused(row["Name"]):
            offenders.append(f"{row['Name']} {row['Version']}: {'; '.join(names)}")
    for offender in offenders:
        print(f"refused licence: {offender}", file=sys.stderr)
    print(f"licences: {len(rows)} distributions, {len(offenders)} refused")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
