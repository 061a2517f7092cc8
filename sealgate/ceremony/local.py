"""The TUF repository of a local deployment: one machine holds every key, and none has a passphrase.

That is for trying things out and for tests: here the offline keys are not offline, so whoever has
the machine has them. A deployment that matters holds the ceremony of docs/tuf.md instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from registry.tuf.keys import OnlineKeys
from sealgate.ceremony import drafting, signing
from sealgate.ceremony.folder import Folder
from sealgate.ceremony.keyfiles import create, generate, open_private
from trust.tuf import names

HOLDERS = ("one", "two", "three")
THRESHOLD = 2


def initialise(
    repository: Path, offline: Path, online: Path, pinned: Path, files: Mapping[str, bytes]
) -> None:
    """Hold the first ceremony at once, with all holders on this machine.

    Args:
        repository: the folder that the registry serves at `/tuf/`.
        offline: where the offline private keys go, and the ceremony's folder.
        online: where the worker's private keys go.
        pinned: where the root goes that runner and worker pin; nothing is done if it is there.
        files: target path -> content; what the targets vouch for.

    Raises:
        SealgateError: a file is not what it must be, or was left by an earlier attempt.
    """
    if pinned.exists():
        return
    folder = Folder(offline / "ceremony")
    keys = OnlineKeys(online)
    for role in names.ONLINE:
        create(folder.key_file(role, "worker"), keys.make(role))
    private = []
    for role in names.OFFLINE:
        for who in HOLDERS:
            path = offline / f"{role}-{who}.pem"
            create(folder.key_file(role, who), generate(path, None))
            private.append(path)
    now = datetime.now(UTC)
    drafting.init(folder, now, root_threshold=THRESHOLD, targets_threshold=THRESHOLD, files=files)
    for path in private:
        if path.stem.rpartition("-")[2] in HOLDERS[:THRESHOLD]:
            signing.sign(folder, open_private(path, None))
    signing.publish(folder, repository, now)
    create(pinned, (folder.path / "new" / "root.json").read_bytes())
