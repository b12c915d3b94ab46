# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POSIX ACLs: from the kernel's binary form to the text that C(tar --acls) reads, and back.

Binary form: linux/posix_acl_xattr.h (version 2, little endian). Text form: C(SCHILY.acl.*) of star(5), as GNU tar,
bsdtar and libarchive read it; ids stay numeric, so that no user database is needed.
"""

from __future__ import annotations

import struct

_VERSION = 2
_TAGS = {1: "user", 2: "user", 4: "group", 8: "group", 16: "mask", 32: "other"}
_NAMED = (2, 8)
_OWN_TAG = {"user": 1, "group": 4, "mask": 16, "other": 32}
_NAMED_TAG = {"user": 2, "group": 8}
_NO_ID = 0xFFFFFFFF

#: extended attribute → pax keyword
ACL_KEYWORDS = {"system.posix_acl_access": "SCHILY.acl.access", "system.posix_acl_default": "SCHILY.acl.default"}


def acl_to_text(raw: bytes) -> str:
    """Binary ACL as comma-separated text.

    :raises ValueError: for a form this does not know
    """
    if len(raw) < 4 or (len(raw) - 4) % 8 or struct.unpack_from("<I", raw)[0] != _VERSION:
        raise ValueError("unknown form of a POSIX ACL")
    entries = []
    for tag, permissions, identity in struct.iter_unpack("<HHI", raw[4:]):
        if tag not in _TAGS:
            raise ValueError(f"unknown ACL tag {tag}")
        who = str(identity) if tag in _NAMED else ""
        rights = "".join(letter if permissions & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))
        entries.append(f"{_TAGS[tag]}:{who}:{rights}")
    return ",".join(entries)


def acl_from_text(text: str) -> bytes:
    """The binary ACL that :func:`acl_to_text` was given.

    :raises ValueError: for text that is no such ACL
    """
    raw = struct.pack("<I", _VERSION)
    for entry in text.split(","):
        kind, who, rights = entry.split(":")
        tag = _NAMED_TAG[kind] if who else _OWN_TAG[kind]
        permissions = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in rights)
        raw += struct.pack("<HHI", tag, permissions, int(who) if who else _NO_ID)
    return raw
