"""What can be revoked, and how it is named.

A target is one of six kinds. Its canonical description is strict JSON; a statement's subject is
the wheel where the target is one, else the SHA-256 of that description.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast, get_args

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from trust import strictjson
from trust.evidence.bundles import Subject, is_plain
from trust.identity import Identity

Kind: TypeAlias = Literal["version", "plugin", "publisher", "reviewer", "rule-set", "image"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that can be taken back; make it with `of_version` and its sisters.

    Attributes:
        kind: which of the six.
        plugin: the PEP 503 normalised name, for `version` and `plugin`.
        version: the PEP 440 canonical version, for `version`.
        sha256: lowercase hexadecimal: the wheel's (`version`, optional), the scan policy's
            (`rule-set`) or the image's id without its prefix (`image`).
        identity: who, for `publisher` and `reviewer`.
    """

    kind: Kind
    plugin: str | None = None
    version: str | None = None
    sha256: str | None = None
    identity: Identity | None = None

    @classmethod
    def of_version(cls, plugin: str, version: str, sha256: str | None = None) -> Target:
        """Return one version; with `sha256` also those bytes under whatever name.

        Raises:
            InvalidVersion: `version` is not one (PEP 440).
        """
        return cls("version", canonicalize_name(plugin), str(Version(version)), sha256)

    @classmethod
    def of_plugin(cls, plugin: str) -> Target:
        """Return every version of a plugin, present and future."""
        return cls("plugin", canonicalize_name(plugin))

    @classmethod
    def of_publisher(cls, identity: Identity) -> Target:
        """Return everything that an identity submitted."""
        return cls("publisher", identity=identity)

    @classmethod
    def of_reviewer(cls, identity: Identity) -> Target:
        """Return every approval of an identity."""
        return cls("reviewer", identity=identity)

    @classmethod
    def of_rule_set(cls, policy_sha256: str) -> Target:
        """Return a scan policy."""
        return cls("rule-set", sha256=policy_sha256)

    @classmethod
    def of_image(cls, image: str) -> Target:
        """Return a runtime image; `image` is its id, with or without `sha256:`."""
        return cls("image", sha256=image.removeprefix("sha256:"))

    def as_dict(self) -> dict[str, Any]:
        """Return the statement's `target` member."""
        document: dict[str, Any] = {"kind": self.kind}
        for name in ("plugin", "version", "sha256"):
            if getattr(self, name) is not None:
                document[name] = getattr(self, name)
        if self.identity is not None:
            document["identity"] = self.identity.as_dict()
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Target:
        """Read what `as_dict` wrote and the JSON schema accepted."""
        who = document.get("identity")
        return cls(
            cast(Kind, document["kind"]),
            document.get("plugin"),
            document.get("version"),
            document.get("sha256"),
            Identity(**who) if who is not None else None,
        )

    def is_canonical(self) -> bool:
        """Tell whether name, version and identity are written in the one way that counts."""
        who = self.identity
        if who is not None and not (is_plain(who.issuer) and is_plain(who.subject)):
            return False
        if self.plugin is not None and canonicalize_name(self.plugin) != self.plugin:
            return False
        try:
            return self.version is None or str(Version(self.version)) == self.version
        except InvalidVersion:
            return False

    def subject(self) -> Subject:
        """Return the statement's subject: the wheel, or the digest of the description."""
        if self.kind == "version" and self.sha256 is not None:
            return Subject(str(self), self.sha256)
        return Subject(str(self), hashlib.sha256(strictjson.dumps(self.as_dict())).hexdigest())

    def __str__(self) -> str:
        """Return the target for people, such as `version markdown-render==1.0.0`."""
        named = self.plugin if self.version is None else f"{self.plugin}=={self.version}"
        if named is None:
            named = str(self.identity) if self.identity is not None else f"sha256:{self.sha256}"
        return f"{self.kind} {named}"
