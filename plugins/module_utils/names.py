# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File names: bytes on disk, text in memory, escaped for people.

A Linux name is any run of bytes but NUL and C(/). In memory the engine holds it as UTF-8 text in which each byte that
is not UTF-8 stands as a lone surrogate (PEP 383), whatever the locale says, so that an index written under one locale
is read back the same under another.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def to_text(raw: bytes) -> str:
    """Name bytes as text; bytes that are not UTF-8 become lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def to_bytes(text: str) -> bytes:
    """The exact bytes of a name that :func:`to_text` made."""
    return text.encode("utf-8", "surrogateescape")


def printable(text: str) -> str:
    """A name that is safe to print: control characters, direction marks and raw bytes are escaped.

    A file name may hold terminal escape sequences or a newline; shown raw it could forge output.
    """
    return _UNSAFE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def with_parents(path: str) -> Iterator[str]:
    """The directories that lead to a path, from the top, and the path itself; nothing for an empty one."""
    parts = path.split("/") if path else []
    for count in range(1, len(parts) + 1):
        yield "/".join(parts[:count])


def path_key(path: str) -> list[bytes]:
    """Sort key of the order in which a tree is walked: a directory, then what is in it, names by their bytes.

    C(.), the tree itself, comes before all else.
    """
    return [] if path == "." else to_bytes(path).split(b"/")


def free_name(path: str) -> str:
    """C(path), or with a number behind it where that name is taken."""
    name, number = path, 1
    while os.path.lexists(name):
        number += 1
        name = f"{path}-{number}"
    return name
