# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: gzip members of the archive, each compressed and read on its own.

RFC 1952, section 2.2: a gzip file is a series of members, and every decompressor reads them as one stream.
Compression is by ISA-L (C(isal) on PyPI), five times as fast as zlib at the same ratio as C(gzip -1); where it is
missing, by zlib.
"""

from __future__ import annotations

import zlib
from typing import Any

from .errors import IntegrityError

_isal: Any
try:
    from isal import isal_zlib as _isal
except ImportError:
    _isal = None

_GZIP_WBITS = 31
_ISAL_LEVEL = 1
_ZLIB_LEVEL = 3


def codec_name() -> str:
    """What compresses here, for the manifest."""
    return "isa-l" if _isal is not None else "zlib"


def compress(data: bytes) -> bytes:
    """One gzip member. Releases the GIL, so threads use all cores."""
    if _isal is not None:
        return bytes(_isal.compress(data, _ISAL_LEVEL, _GZIP_WBITS))
    packer = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    return packer.compress(data) + packer.flush()


def decompress(frame: bytes, size_bytes: int) -> bytes:
    """The content of one gzip member.

    :param size_bytes: what the index says its content measures; never more is unpacked (a bomb stops there)
    :raises IntegrityError: when it is no gzip member of that content size
    """
    codec: Any = _isal if _isal is not None else zlib
    unpacker = codec.decompressobj(wbits=_GZIP_WBITS)
    try:
        data = bytes(unpacker.decompress(frame, size_bytes + 1))
    except codec.error as error:
        raise IntegrityError(f"A frame of the archive does not decompress: {error}.") from error
    if len(data) != size_bytes or not unpacker.eof or unpacker.unused_data:
        raise IntegrityError("A frame of the archive has not the size that the index says.")
    return data
