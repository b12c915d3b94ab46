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

from dataclasses import dataclass, field, replace
from typing import Optional

from .acl import ACL_KEYWORDS, acl_from_text, acl_to_text
from .errors import IntegrityError
from .names import printable, to_bytes, to_text

BLOCK_BYTES = 512
END_OF_ARCHIVE = bytes(2 * BLOCK_BYTES)

FILE, HARDLINK, SYMLINK, DIRECTORY, FIFO = "file", "hardlink", "symlink", "dir", "fifo"
_TYPE_FLAGS = {FILE: b"0", HARDLINK: b"1", SYMLINK: b"2", DIRECTORY: b"5", FIFO: b"6"}
_TYPES = {ord(flag): name for name, flag in _TYPE_FLAGS.items()}

_NAME_BYTES = 100
_OCTAL_7 = 0o7777777
_OCTAL_11 = 0o77777777777
_BILLION = 1_000_000_000
_XATTR = "SCHILY.xattr."
_ACL_ATTRIBUTES = {keyword: name for name, keyword in ACL_KEYWORDS.items()}
_pax_headers: dict[int, bytes] = {}


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

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
    xattrs: dict[str, bytes] = field(default_factory=dict)
    sparse_size_bytes: Optional[int] = None


def padding(size_bytes: int) -> bytes:
    """Zeros that fill data up to the next block."""
    return bytes(-size_bytes % BLOCK_BYTES)


def encode_member(member: Member) -> bytes:
    """Header blocks of an entry; its data and :func:`padding` follow them."""
    name = to_bytes(member.path) + (b"/" if member.kind == DIRECTORY else b"")
    link = to_bytes(member.link)
    records = _metadata_records(member)
    binary = False
    if member.sparse_size_bytes is not None:
        records.append(("GNU.sparse.name", name))
        # a stand-in, cut to fit: a "path" record behind the true name would win in Python's tarfile
        name = (b"GNUSparseFile.0/" + name.rsplit(b"/", 1)[-1])[:_NAME_BYTES]
    if len(name) > _NAME_BYTES:
        records.append(("path", name))
        binary = binary or not _is_utf8(name)
    if len(link) > _NAME_BYTES:
        records.append(("linkpath", link))
        binary = binary or not _is_utf8(link)
    if binary:
        records.insert(0, ("hdrcharset", b"BINARY"))
    return _pax_blocks(records) + _ustar_header(member, name, link)


def _metadata_records(member: Member) -> list[tuple[str, bytes]]:
    records = []
    seconds, nanoseconds = divmod(abs(member.mtime_ns), _BILLION)
    if nanoseconds or member.mtime_ns < 0 or seconds > _OCTAL_11:
        sign = "-" if member.mtime_ns < 0 else ""
        records.append(("mtime", f"{sign}{seconds}.{nanoseconds:09d}".encode()))
    for keyword, number, limit in (
        ("uid", member.uid, _OCTAL_7),
        ("gid", member.gid, _OCTAL_7),
        ("size", member.size_bytes, _OCTAL_11),
    ):
        if number > limit:
            records.append((keyword, b"%d" % number))
    if member.sparse_size_bytes is not None:
        records += [("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")]
        records.append(("GNU.sparse.realsize", b"%d" % member.sparse_size_bytes))
    for name, value in sorted(member.xattrs.items()):
        records.append(_xattr_record(name, value))
    return records


def _xattr_record(name: str, value: bytes) -> tuple[str, bytes]:
    if name in ACL_KEYWORDS:
        try:
            return ACL_KEYWORDS[name], acl_to_text(value).encode()
        except ValueError:
            pass  # a form newer than this code: kept as the plain attribute, as GNU tar keeps what it does not know
    # "%" and "=" cannot stand in a pax keyword; GNU tar escapes them so since 1.29
    return _XATTR + name.replace("%", "%25").replace("=", "%3D"), value


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _pax_blocks(records: list[tuple[str, bytes]]) -> bytes:
    if not records:
        return b""
    body = b"".join(_pax_record(to_bytes(keyword), value) for keyword, value in records)
    header = _pax_headers.get(len(body))
    if header is None:
        header = _checksummed(
            b"././@PaxHeader".ljust(_NAME_BYTES, b"\0"), b"0000644\0", 0, 0, len(body), 0, b"x", b"", b"", b""
        )
        _pax_headers[len(body)] = header
    return header + body + padding(len(body))


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    # the length counts its own digits
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    if len(str(length)) > len(str(rest)):
        length += 1
    return b"%d %b=%b\n" % (length, keyword, value)


def _ustar_header(member: Member, name: bytes, link: bytes) -> bytes:
    return _checksummed(
        name[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0"),
        b"%07o\0" % member.mode,
        member.uid if member.uid <= _OCTAL_7 else 0,
        member.gid if member.gid <= _OCTAL_7 else 0,
        member.size_bytes if member.size_bytes <= _OCTAL_11 else 0,
        min(max(member.mtime_ns // _BILLION, 0), _OCTAL_11),
        _TYPE_FLAGS[member.kind],
        link[:_NAME_BYTES],
        to_bytes(member.uname)[:31],
        to_bytes(member.gname)[:31],
    )


def _checksummed(
    name: bytes,
    mode: bytes,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    flag: bytes,
    link: bytes,
    uname: bytes,
    gname: bytes,
) -> bytes:
    head = name + mode + b"%07o\0%07o\0%011o\0%011o\0" % (uid, gid, size, mtime)
    tail = flag + link.ljust(100, b"\0") + b"ustar\x0000" + uname.ljust(32, b"\0") + gname.ljust(32, b"\0")
    tail = (tail + b"0000000\x000000000\0").ljust(BLOCK_BYTES - len(head) - 8, b"\0")
    return head + b"%06o\0 " % (sum(head) + sum(tail) + 8 * 0x20) + tail


def decode_member(data: bytes, offset: int) -> tuple[Member, int]:
    """The entry whose header blocks begin at C(offset), and where its data begins.

    Reads what :func:`encode_member` writes, and no other dialect of tar: whatever else stands there is damage.

    :raises IntegrityError: when no such header stands there
    """
    records: dict[str, bytes] = {}
    header = _checked_header(data, offset)
    if header[156:157] == b"x":
        length = _octal(header[124:136])
        body_at = offset + BLOCK_BYTES
        records = _parse_records(data[body_at : body_at + length])
        offset = body_at + length + -length % BLOCK_BYTES
        header = _checked_header(data, offset)
    kind = _TYPES.get(header[156])
    if kind is None:
        raise IntegrityError(f"The archive holds an entry of a type that is never written: {header[156:157]!r}.")
    return _with_records(_from_ustar(header, kind), records), offset + BLOCK_BYTES


def _checked_header(data: bytes, offset: int) -> bytes:
    header = data[offset : offset + BLOCK_BYTES]
    if len(header) != BLOCK_BYTES or header[257:262] != b"ustar":
        raise IntegrityError("The archive has no header where the index says that an entry begins.")
    if sum(header) - sum(header[148:156]) + 8 * 0x20 != _octal(header[148:156]):
        raise IntegrityError("A header in the archive does not fit its checksum.")
    return header


def _octal(raw: bytes) -> int:
    text = raw.split(b"\0", 1)[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError as error:
        raise IntegrityError("A number in a header of the archive is damaged.") from error


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


def _text_field(raw: bytes) -> str:
    return to_text(raw.split(b"\0", 1)[0])


def _from_ustar(header: bytes, kind: str) -> Member:
    return Member(
        path=_text_field(header[0:100]),
        kind=kind,
        mode=_octal(header[100:108]),
        uid=_octal(header[108:116]),
        gid=_octal(header[116:124]),
        size_bytes=_octal(header[124:136]),
        mtime_ns=_octal(header[136:148]) * _BILLION,
        link=_text_field(header[157:257]),
        uname=_text_field(header[265:297]),
        gname=_text_field(header[297:329]),
    )


def _with_records(member: Member, records: dict[str, bytes]) -> Member:
    try:
        path = to_text(records.get("GNU.sparse.name") or records.get("path") or to_bytes(member.path))
        return replace(
            member,
            path=path[:-1] if member.kind == DIRECTORY and path.endswith("/") else path,
            link=to_text(records["linkpath"]) if "linkpath" in records else member.link,
            uid=int(records.get("uid", member.uid)),
            gid=int(records.get("gid", member.gid)),
            size_bytes=int(records.get("size", member.size_bytes)),
            mtime_ns=_parse_mtime(records["mtime"]) if "mtime" in records else member.mtime_ns,
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
    seconds, _, fraction = raw.decode("ascii").partition(".")
    magnitude = int(seconds.lstrip("-")) * _BILLION + int((fraction or "0").ljust(9, "0")[:9])
    return -magnitude if seconds.startswith("-") else magnitude
