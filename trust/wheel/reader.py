"""From bytes to a `Plugin`: the parts of the reading in their order."""

from __future__ import annotations

import hashlib
import io
import zipfile

from trust import strictjson
from trust.errors import SealgateError, problem
from trust.outcomes import Failed, Passed
from trust.wheel.model import Limits, Manifest, Member, Method, Plugin, WheelRejected


def inspect_wheel(data: bytes, filename: str) -> Passed[Plugin] | Failed:
    """Read a wheel and return the plugin or every structural problem.

    Args:
        data: the wheel's bytes.
        filename: its file name, without a folder.
    """
    try:
        name, version = filename.split("-")[:2]
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            contents = {info.filename: archive.read(info) for info in archive.infolist()}
        manifest_path = next(path for path in contents if path.endswith("/plugin.json"))
        package = manifest_path.split("/")[0]
        raw = strictjson.loads(contents[manifest_path])
        methods = {}
        for key, entry in raw["methods"].items():
            module, qualname = entry["callable"].split(":")
            methods[key] = Method(
                key, module, qualname, entry["summary"], entry["arguments"], entry["result"]
            )
        manifest = Manifest(
            1, raw["name"], raw["summary"], methods, Limits(**raw.get("limits", {})), (), raw
        )
    except (SealgateError, Exception) as error:  # noqa: BLE001 - a hostile file is a refusal
        return Failed((problem("wheel.unreadable", "the wheel cannot be read", value=error),))
    members = tuple(
        Member(path, len(body), hashlib.sha256(body).hexdigest()) for path, body in contents.items()
    )
    return Passed(
        Plugin(
            name.replace("_", "-"),
            version,
            filename,
            hashlib.sha256(data).hexdigest(),
            len(data),
            package,
            manifest,
            raw["summary"],
            members,
        )
    )


def read_wheel(data: bytes, filename: str) -> Plugin:
    """Read a wheel.

    Raises:
        WheelRejected: the wheel is not accepted; the error has every problem.
    """
    outcome = inspect_wheel(data, filename)
    if isinstance(outcome, Failed):
        raise WheelRejected(outcome.problems)
    return outcome.value
