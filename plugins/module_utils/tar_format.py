# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of a tar archive: the header blocks of one entry, written and read.

Format: POSIX.1-2001 pax interchange (IEEE 1003.1, "pax"), with the keywords C(SCHILY.xattr.*) and C(SCHILY.acl.*) of
star(5) and the sparse format 1.0 of GNU tar. Written by hand because a header a file, from Python's C(tarfile), costs
more than reading the file. Names of up to 100 bytes stand raw in the ustar header, which GNU tar, bsdtar and Python
read as they are in any locale.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, Optional

from .acl import ACL_KEYWORDS, acl_from_text, acl_to_text
from .errors import IntegrityError
from .names import printable, to_bytes, to_text

BLOCK_BYTES = 512
END_OF_ARCHIVE = bytes(2 * BLOCK_BYTES)

FILE, HARDLINK, SYMLINK, DIRECTORY, FIFO = "file", "hardlink", "symlink", "dir", "fifo"
_TYPE_FLAGS = {FILE: b"0", HARDLINK: b"1", SYMLINK: b"2", DIRECTORY: b"5", FIFO: b"6"}
_TYPES = {flag: name for name, flag in _TYPE_FLAGS.items()}

_NAME_BYTES = 100
_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777
_BILLION = 1_000_000_000
_XATTR = "SCHILY.xattr."
_ACL_ATTRIBUTES = {keyword: name for name, keyword in ACL_KEYWORDS.items()}
_NO_XATTRS: Mapping[str, bytes] = MappingProxyType({})
# name, mode, uid, gid, size, mtime; each number with the NUL behind it
_USTAR_HEAD = struct.Struct("100s7sx7sx7sx11sx11sx")
_HEAD_BYTES, _TAIL_AT = 148, 156  # between them stands the checksum
_MTIME_RECORD = re.compile(rb"30 mtime=(\d{10})\.(\d{9})\n")


class Member(NamedTuple):
    """One entry of an archive. A named tuple, as all that exists once a file: a frozen dataclass takes four times as
    long to make.

    :param path: relative to the project, C(.) for the project itself
    :param kind: C(file), C(hardlink), C(symlink), C(dir) or C(fifo)
    :param mode: permission bits, with set-id and sticky bits
    :param size_bytes: data bytes that follow in the archive (a sparse file: its map and what is not a hole)
    :param mtime_ns: nanoseconds since 1970
    :param link: target of a symbolic link, or path of the entry a hard link repeats
    :param xattrs: extended attributes, ACLs in the kernel's binary form among them
    :param sparse_size_bytes: apparent size of a sparse file; None for any other
    """

    path: str
    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    uname: str = ""
    gname: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    link: str = ""
    xattrs: Mapping[str, bytes] = _NO_XATTRS
    sparse_size_bytes: Optional[int] = None


def padding(size_bytes: int) -> bytes:
    """Zeros that fill data up to the next block."""
    return bytes(-size_bytes % BLOCK_BYTES)


def encode_member(member: Member) -> bytes:
    """Header blocks of an entry; its data and :func:`padding` follow them."""
    name = to_bytes(member.path) + (b"/" if member.kind == DIRECTORY else b"")
    link = to_bytes(member.link) if member.link else b""
    records = _metadata_records(member)
    binary = False
    if member.sparse_size_bytes is not None:
        records.append(_pax_record(b"GNU.sparse.name", name))
        # a stand-in, cut to fit: a "path" record behind the true name would win in Python's tarfile
        name = (b"GNUSparseFile.0/" + name.rsplit(b"/", 1)[-1])[:_NAME_BYTES]
    if len(name) > _NAME_BYTES:
        records.append(_pax_record(b"path", name))
        binary = binary or not _is_utf8(name)
    if len(link) > _NAME_BYTES:
        records.append(_pax_record(b"linkpath", link))
        binary = binary or not _is_utf8(link)
    if binary:
        records.insert(0, _pax_record(b"hdrcharset", b"BINARY"))
    header = _ustar_header(member, name, link)
    return _pax_blocks(b"".join(records)) + header if records else header


def _metadata_records(member: Member) -> list[bytes]:
    records = []
    mtime_ns = member.mtime_ns
    if mtime_ns % _BILLION or mtime_ns < 0 or mtime_ns > _OCTAL_11 * _BILLION:
        sign = b"-" if mtime_ns < 0 else b""
        records.append(_pax_record(b"mtime", b"%b%d.%09d" % (sign, *divmod(abs(mtime_ns), _BILLION))))
    if member.uid > _OCTAL_7:
        records.append(_pax_record(b"uid", b"%d" % member.uid))
    if member.gid > _OCTAL_7:
        records.append(_pax_record(b"gid", b"%d" % member.gid))
    if member.size_bytes > _OCTAL_11:
        records.append(_pax_record(b"size", b"%d" % member.size_bytes))
    if member.sparse_size_bytes is not None:
        records += [_pax_record(b"GNU.sparse.major", b"1"), _pax_record(b"GNU.sparse.minor", b"0")]
        records.append(_pax_record(b"GNU.sparse.realsize", b"%d" % member.sparse_size_bytes))
    if member.xattrs:
        records += [_xattr_record(name, value) for name, value in sorted(member.xattrs.items())]
    return records


def _xattr_record(name: str, value: bytes) -> bytes:
    if name in ACL_KEYWORDS:
        try:
            return _pax_record(to_bytes(ACL_KEYWORDS[name]), acl_to_text(value).encode())
        except ValueError:
            pass  # a form newer than this code: kept as the plain attribute, as GNU tar keeps what it does not know
    # "%" and "=" cannot stand in a pax keyword; GNU tar escapes them so since 1.29
    return _pax_record(to_bytes(_XATTR + name.replace("%", "%25").replace("=", "%3D")), value)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _pax_blocks(body: bytes) -> bytes:
    return _pax_header(len(body)) + body + padding(len(body))


@lru_cache(maxsize=1024)
def _pax_header(size_bytes: int) -> bytes:
    # nearly every entry has one, and nearly all of them are of one size
    head = _ustar_head(b"././@PaxHeader", 0o644, 0, 0, size_bytes, 0)
    return _checksummed(head, *_ustar_tail(b"x", b"", "", ""))


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    # the length counts its own digits
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %b=%b\n" % (length, keyword, value)


def _ustar_header(member: Member, name: bytes, link: bytes) -> bytes:
    head = _ustar_head(
        name[:_NAME_BYTES],
        member.mode,
        member.uid if member.uid <= _OCTAL_7 else 0,
        member.gid if member.gid <= _OCTAL_7 else 0,
        member.size_bytes if member.size_bytes <= _OCTAL_11 else 0,
        min(max(member.mtime_ns // _BILLION, 0), _OCTAL_11),
    )
    return _checksummed(head, *_ustar_tail(_TYPE_FLAGS[member.kind], link[:_NAME_BYTES], member.uname, member.gname))


def _ustar_head(name: bytes, mode: int, uid: int, gid: int, size: int, mtime: int) -> bytes:
    return name.ljust(_NAME_BYTES, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, mtime)


@lru_cache(maxsize=1024)
def _ustar_tail(flag: bytes, link: bytes, uname: str, gname: str) -> tuple[bytes, int]:
    """What stands behind the checksum, and the sum of its bytes: the same for all files of one owner."""
    user, group = to_bytes(uname)[:31], to_bytes(gname)[:31]
    tail = flag + link.ljust(100, b"\0") + b"ustar\x0000" + user.ljust(32, b"\0") + group.ljust(32, b"\0")
    tail = (tail + b"0000000\x000000000\0").ljust(BLOCK_BYTES - _TAIL_AT, b"\0")
    return tail, sum(tail)


def _checksummed(head: bytes, tail: bytes, tail_sum: int) -> bytes:
    return head + _checksum(head, tail_sum) + tail


def _checksum(head: bytes, tail_sum: int) -> bytes:
    return b"%06o\0 " % (_byte_sum(head) + tail_sum + 8 * 0x20)


def _byte_sum(raw: bytes) -> int:
    """Sum of up to 256 bytes. Adler-32 keeps it, plus one, modulo 65521 in its lower half; C(sum()) takes ten times
    as long, which is a fifth of the time a header costs."""
    return (zlib.adler32(raw) & 0xFFFF) - 1


def decode_member(data: bytes, offset: int) -> tuple[Member, int]:
    """The entry whose header blocks begin at C(offset), and where its data begins.

    Reads what :func:`encode_member` writes, and no other dialect of tar: whatever else stands there is damage.

    :raises IntegrityError: when no such header stands there
    """
    body = b""
    if data[offset + _TAIL_AT : offset + _TAIL_AT + 1] == b"x":
        length = _number(data[offset + 124 : offset + 135])
        if data[offset : offset + BLOCK_BYTES] != _pax_header(length):
            raise IntegrityError("An extended header in the archive is damaged.")
        body = data[offset + BLOCK_BYTES : offset + BLOCK_BYTES + length]
        offset += BLOCK_BYTES + length + -length % BLOCK_BYTES
    header, end = data[offset : offset + BLOCK_BYTES], offset + BLOCK_BYTES
    only_time = _MTIME_RECORD.fullmatch(body)  # so it is with nearly every entry
    if only_time:
        return _decode_ustar(header, int(only_time[1]) * _BILLION + int(only_time[2])), end
    member = _decode_ustar(header)
    return _with_records(member, body) if body else member, end


def _decode_ustar(header: bytes, mtime_ns: Optional[int] = None) -> Member:
    if len(header) != BLOCK_BYTES or header[257:262] != b"ustar":
        raise IntegrityError("The archive has no header where the index says that an entry begins.")
    head = header[:_HEAD_BYTES]
    kind, link, uname, gname, tail_sum = _parse_tail(header[_TAIL_AT:])
    if header[_HEAD_BYTES:_TAIL_AT] != _checksum(head, tail_sum):
        raise IntegrityError("A header in the archive does not fit its checksum.")
    if not kind:
        raise IntegrityError("The archive holds an entry of a type that is never written.")
    name, mode, uid, gid, size, mtime = _USTAR_HEAD.unpack(head)
    path = _text_field(name)
    return Member(
        path[:-1] if kind == DIRECTORY and path.endswith("/") else path,
        kind,
        _number(mode),
        _number(uid),
        _number(gid),
        uname,
        gname,
        _number(size),
        _number(mtime) * _BILLION if mtime_ns is None else mtime_ns,
        link,
    )


@lru_cache(maxsize=1024)
def _parse_tail(tail: bytes) -> tuple[str, str, str, str, int]:
    """Kind (empty for an unknown one), link, user, group, and the sum of the bytes: the same for all files of one
    owner, as :func:`_ustar_tail`."""
    texts = (_text_field(tail[1:101]), _text_field(tail[109:141]), _text_field(tail[141:173]))
    return (_TYPES.get(tail[:1], ""), *texts, sum(tail))


def _number(octal: bytes) -> int:
    try:
        return int(octal, 8)
    except ValueError as error:
        raise IntegrityError("A number in a header of the archive is damaged.") from error


def _text_field(raw: bytes) -> str:
    return to_text(raw.partition(b"\0")[0])


def _parse_records(body: bytes) -> dict[str, bytes]:
    records = {}
    at = 0
    while at < len(body):
        try:
            digits = body[at : body.index(b" ", at)]
            length = int(digits)
            keyword, value = body[at + len(digits) + 1 : at + length - 1].split(b"=", 1)
        except ValueError as error:
            raise IntegrityError("An extended header in the archive is damaged.") from error
        if length <= 0 or at + length > len(body):
            raise IntegrityError("An extended header in the archive is damaged.")
        records[to_text(keyword)] = value
        at += length
    return records


def _with_records(member: Member, body: bytes) -> Member:
    records = _parse_records(body)
    try:
        if "mtime" in records:
            member = member._replace(mtime_ns=_parse_mtime(records.pop("mtime")))
        path = to_text(records.get("GNU.sparse.name") or records.get("path") or to_bytes(member.path))
        return member._replace(
            path=path[:-1] if member.kind == DIRECTORY and path.endswith("/") else path,
            link=to_text(records["linkpath"]) if "linkpath" in records else member.link,
            uid=int(records.get("uid", member.uid)),
            gid=int(records.get("gid", member.gid)),
            size_bytes=int(records.get("size", member.size_bytes)),
            sparse_size_bytes=int(records["GNU.sparse.realsize"]) if "GNU.sparse.realsize" in records else None,
            xattrs=_xattrs(records),
        )
    except (ValueError, KeyError) as error:
        raise IntegrityError(f"The header of {printable(member.path)} in the archive is damaged.") from error


def _xattrs(records: dict[str, bytes]) -> dict[str, bytes]:
    xattrs = {}
    for keyword, value in records.items():
        if keyword in _ACL_ATTRIBUTES:
            xattrs[_ACL_ATTRIBUTES[keyword]] = acl_from_text(value.decode())
        elif keyword.startswith(_XATTR):
            xattrs[keyword[len(_XATTR) :].replace("%3D", "=").replace("%25", "%")] = value
    return xattrs


def _parse_mtime(raw: bytes) -> int:
    seconds, _point, fraction = raw.decode("ascii").partition(".")
    magnitude = int(seconds.lstrip("-")) * _BILLION + int((fraction or "0").ljust(9, "0")[:9])
    return -magnitude if seconds.startswith("-") else magnitude
