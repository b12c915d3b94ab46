# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Header blocks of members, for what no test can afford to write: sizes, times and ids at their limits."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.acl import acl_from_text, acl_to_text
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.tar_format import (
    END_OF_ARCHIVE,
    Member,
    decode_member,
    encode_member,
)
from support.tools import tool

GIB = 1024**3
EIGHT_GIB = 8 * GIB


def as_python_reads(member: Member) -> tarfile.TarInfo:
    no_holes = b"0\n".ljust(512, b"\0")
    with tarfile.open(fileobj=io.BytesIO(encode_member(member) + no_holes), errors="surrogateescape") as archive:
        found = archive.next()
    assert found is not None
    return found


@pytest.mark.parametrize("size", [EIGHT_GIB - 1, EIGHT_GIB, EIGHT_GIB + 1, 100 * GIB, 2**50])
def test_size_of_8_gib_and_more(size: int) -> None:
    member = Member("big", "file", 0o644, size_bytes=size)
    header = encode_member(member)
    assert (b"size=" in header) == (size >= EIGHT_GIB), "an ustar header has room for eleven octal digits"
    assert as_python_reads(member).size == size
    assert decode_member(header, 0) == (member, len(header))


@pytest.mark.parametrize("size", [EIGHT_GIB - 1, EIGHT_GIB, 9 * GIB])
def test_gnu_tar_and_bsdtar_step_over_large_files(size: int, tmp_path: Path) -> None:
    archive = tmp_path / "archive.tar"
    header = encode_member(Member("big", "file", 0o644, size_bytes=size))
    with open(archive, "wb") as stream:  # the data is a hole
        stream.write(header)
        stream.seek(len(header) + size + -size % 512)
        stream.write(encode_member(Member("after", "file", 0o644)) + END_OF_ARCHIVE)
    for program in ("tar", "bsdtar"):
        lines = tool(program, "-tvf", archive).decode().splitlines()
        assert [line.split()[-1] for line in lines] == ["big", "after"]
        assert str(size) in lines[0].split()


@pytest.mark.parametrize(
    "mtime_ns",
    [0, 1, -1, 999_999_999, 10**9, -(10**9), -(10**9) - 1, 8_589_934_591 * 10**9, 8_589_934_592 * 10**9, 10**20 + 7],
)
def test_times_at_their_limits(mtime_ns: int) -> None:
    member = Member("file", "file", 0o644, mtime_ns=mtime_ns)
    assert decode_member(encode_member(member), 0)[0].mtime_ns == mtime_ns
    assert as_python_reads(member).mtime == pytest.approx(mtime_ns / 10**9)


@pytest.mark.parametrize("number", [0, 2_097_151, 2_097_152, 2**31, 2**32 - 2])
def test_ids_at_their_limits(number: int) -> None:
    member = Member("file", "file", 0o644, uid=number, gid=number)
    assert decode_member(encode_member(member), 0)[0] == member
    assert (as_python_reads(member).uid, as_python_reads(member).gid) == (number, number)


@pytest.mark.parametrize("length", [1, 99, 100, 101, 155, 156, 255, 256, 257, 1000, 4000])
@pytest.mark.parametrize("letter", ["a", "\udcff", "é"])
def test_names_and_targets_at_their_limits(length: int, letter: str) -> None:
    path = "/".join(letter * 50 for _ in range(length // 51 + 1))[:length].rstrip("/")
    for member in (
        Member(path, "file", 0o644),
        Member(path, "dir", 0o755),
        Member("link", "symlink", 0o777, link=path),
        Member(path, "hardlink", 0o644, link=path),
        Member(path, "file", 0o644, size_bytes=512, sparse_size_bytes=10**7),
    ):
        assert decode_member(encode_member(member), 0)[0] == member
        found = as_python_reads(member)
        assert (found.name, found.linkname) == (member.path, member.link)


def test_pax_records_count_their_own_digits() -> None:
    """The length of a record stands in front of it and counts itself, which is hard where it gets a digit more."""
    for length in (*range(60, 120), *range(960, 1010), *range(9960, 10010)):
        member = Member("file", "file", 0o644, xattrs={"user.x": b"v" * length})
        assert decode_member(encode_member(member), 0)[0] == member
        assert len(as_python_reads(member).pax_headers["SCHILY.xattr.user.x"]) == length


def test_header_of_another_dialect_is_damage() -> None:
    gnu = tarfile.TarInfo("file").tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(IntegrityError):
        decode_member(gnu[:148] + b"0" * 8 + gnu[156:], 0)
    device = tarfile.TarInfo("device")
    device.type = tarfile.CHRTYPE
    with pytest.raises(IntegrityError, match="never written"):
        decode_member(device.tobuf(tarfile.USTAR_FORMAT), 0)
    with pytest.raises(IntegrityError):
        decode_member(b"", 0)


def test_every_flipped_byte_of_a_header_is_seen_or_means_nothing() -> None:
    member = Member(
        "some/file", "file", 0o644, 1, 2, "daemon", "bin", 77, 1_600_000_000_123_456_789, xattrs={"user.a": b"b"}
    )
    header = encode_member(member)
    for at in range(len(header)):
        damaged = bytearray(header)
        damaged[at] ^= 0x20
        try:
            found, _ = decode_member(bytes(damaged), 0)
        except IntegrityError:
            continue
        assert found != member or at in range(512, len(header) - 512) or damaged[at] in b" \0", at


@pytest.mark.parametrize(
    "text", ["user::rw-,user:5:r--,group::r--,mask::rw-,other::---", "user::rwx,group::--x,other::-w-"]
)
def test_acl_text_goes_there_and_back(text: str) -> None:
    assert acl_to_text(acl_from_text(text)) == text


@pytest.mark.parametrize(
    "raw", [b"", b"\2\0\0", b"\3\0\0\0", b"\2\0\0\0" + b"\1\0\7\0", b"\2\0\0\0" + b"\7\0\7\0\0\0\0\0"]
)
def test_acl_of_unknown_form_is_refused_and_kept_as_it_is(raw: bytes) -> None:
    with pytest.raises(ValueError, match="ACL"):
        acl_to_text(raw)
    member = Member("file", "file", 0o644, xattrs={"system.posix_acl_access": raw})
    assert decode_member(encode_member(member), 0)[0] == member
