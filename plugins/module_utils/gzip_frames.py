# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: gzip members of the archive, each compressed and read on its own.

RFC 1952, section 2.2: a gzip file is a series of members, and every decompressor reads them as one stream.
Compression is by ISA-L (C(isal) on PyPI), five times as fast as zlib at the same ratio as C(gzip -1); where it is
missing, by zlib.
"""

from __future__ import annotations

import gzip
import zlib
from typing import Any, BinaryIO, Optional, Union

from .errors import IntegrityError

_isal: Any
_igzip: Any
try:
    from isal import igzip as _igzip
    from isal import isal_zlib as _isal
except ImportError:
    _isal = _igzip = None

_GZIP_WBITS = 31
#: Of all file systems that share blocks.
BLOCK_BYTES = 4096
_FIXED_HEADER_BYTES = 10
_EXTRA_HEADER_BYTES = 6  # its length, and the name and length of its one part
_ISAL_LEVEL = 1
_ZLIB_LEVEL = 3


def codec_name() -> str:
    """What compresses here, for the manifest."""
    return "isa-l" if _isal is not None else "zlib"


def open_stream(file: BinaryIO) -> Any:
    """The content of many gzip members, as a file to read."""
    if _igzip is not None:
        return _igzip.IGzipFile(fileobj=file, mode="rb")
    return gzip.GzipFile(fileobj=file, mode="rb")


def whole_content(stream: bytes, at_most_bytes: int) -> Optional[bytes]:
    """The content of gzip members in memory; of small ones in a tenth of the time that a file around them takes.

    None where that is not all: it is longer, or damaged, or something else follows. :func:`open_stream` tells which.
    """
    codec: Any = _isal if _isal is not None else zlib
    contents: list[bytes] = []
    while stream or not contents:
        unpacker = codec.decompressobj(wbits=_GZIP_WBITS)
        try:
            contents.append(bytes(unpacker.decompress(stream, at_most_bytes + 1)))
        except codec.error:
            return None
        at_most_bytes -= len(contents[-1])
        if at_most_bytes < 0 or not unpacker.eof:
            return None
        stream = unpacker.unused_data
    return contents[0] if len(contents) == 1 else b"".join(contents)


#: What reading such a stream raises where it is damaged.
STREAM_ERRORS: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error)
if _isal is not None:
    STREAM_ERRORS += (_isal.error,)


def compress(data: bytes) -> bytes:
    """One gzip member. Releases the GIL, so threads use all cores."""
    if _isal is not None:
        return bytes(_isal.compress(data, _ISAL_LEVEL, _GZIP_WBITS))
    packer = zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP_WBITS)
    return packer.compress(data) + packer.flush()


def aligned(frame: bytes) -> bytes:
    """The same gzip member, made as long as whole blocks by an extra field (RFC 1952, 2.3.1.1), which readers skip.

    A file system that shares blocks between files shares whole ones only.
    """
    fill = -len(frame) % BLOCK_BYTES
    if not fill:
        return frame
    if fill < _EXTRA_HEADER_BYTES:
        fill += BLOCK_BYTES
    if frame[3]:
        raise ValueError("The member has optional fields already.")  # compress() writes none
    field = b"CP" + (fill - _EXTRA_HEADER_BYTES).to_bytes(2, "little") + bytes(fill - _EXTRA_HEADER_BYTES)
    head = frame[:3] + b"\x04" + frame[4:_FIXED_HEADER_BYTES]
    return head + len(field).to_bytes(2, "little") + field + frame[_FIXED_HEADER_BYTES:]


def decompress(frame: Union[bytes, memoryview], size_bytes: int) -> bytes:
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
