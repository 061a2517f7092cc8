"""The bill of materials of a plugin and its locked dependencies: CycloneDX 1.6 (ECMA-424).

The same plugin and dependencies give the same bytes: the serial number follows from the plugin's
digest, and there is no time in it; the signature around it has one.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from trust.wheel import DependencyWheel, Plugin
from trust.wheel.lock import check_requirements

_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://sealgate.dev/sbom")


def _component(
    kind: ComponentType, name: str, version: str, sha256: str, summary: str
) -> Component:
    url = PackageURL("pypi", None, name, version)
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=str(url),
        purl=url,
        description=summary or None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
    )


def render(plugin: Plugin, wheels: Sequence[DependencyWheel]) -> bytes:
    """Return the bill of materials as UTF-8 JSON, sorted, without blanks.

    Args:
        plugin: the plugin.
        wheels: its dependencies, as `trust.wheel.inspect_dependencies` returned them.
    """
    bom = Bom(serial_number=uuid.uuid5(_SPACE, plugin.sha256))
    root = _component(
        ComponentType.APPLICATION, plugin.name, plugin.version, plugin.sha256, plugin.summary
    )
    bom.metadata.component = root
    locked = {wheel.dependency.name: wheel.dependency for wheel in wheels}
    parts = {
        wheel.dependency.name: _component(
            ComponentType.LIBRARY,
            wheel.dependency.name,
            wheel.dependency.version,
            wheel.dependency.sha256,
            wheel.summary,
        )
        for wheel in wheels
    }
    for part in parts.values():
        bom.components.add(part)
    bom.register_dependency(root, parts.values())
    for wheel in wheels:
        _, asked = check_requirements(wheel.requirements, (), locked, wheel.dependency.filename)
        bom.register_dependency(parts[wheel.dependency.name], [parts[name] for name in asked])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["metadata"].pop("timestamp", None)
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
