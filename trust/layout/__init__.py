"""The in-toto layout: who must vouch for a plugin, and how many of them.

Its owners sign it offline, k of n; `load_layout` verifies it, `build_layout` and `sign_layout`
make one.
"""

from trust.layout.build import build_layout, sign_layout
from trust.layout.load import layout_sha256, load_layout, read_unverified, verify_layout
from trust.layout.owners import Owners, public_owner_key
from trust.layout.problems import LayoutRefused
from trust.layout.rules import RULES
from trust.layout.structure import VerifiedLayout

__all__ = [
    "RULES",
    "LayoutRefused",
    "Owners",
    "VerifiedLayout",
    "build_layout",
    "layout_sha256",
    "load_layout",
    "public_owner_key",
    "read_unverified",
    "sign_layout",
    "verify_layout",
]
