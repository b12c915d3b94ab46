# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive, read back by other people's programs: GNU tar, bsdtar and Python's tarfile, byte for byte."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from decimal import Decimal
from pathlib import Path

import pytest
from support.compare import Facts, differences, facts
from support.engine import Made, backup, restore
from support.tools import TAR_EXTRACT, run, tool
from support.trees import MIB, make_hard_project, make_random_project, make_sparse

#: Some minutes together: left out by test.sh --fast.
pytestmark = pytest.mark.slow

BSDTAR_EXTRACT = ("bsdtar", "--acls", "--xattrs", "--numeric-owner", "-xpf")

# What bsdtar does not read, from anybody's archive.
BSDTAR_LIMITS = {
    b".": ("mtime_ns",),  # it leaves the directory it unpacks into alone
    b"attributes/user": ("xattrs",),  # "=" and "%" in a name, which GNU tar escapes
    b"attributes/acl": ("xattrs",),  # ids in ACLs above 2**31 - 1
    b"attributes/acl-directory": ("xattrs",),
}


@pytest.fixture(scope="module")
def hard(scratch: Path) -> Path:
    top = scratch / "hard"
    make_hard_project(top)
    return top


@pytest.fixture(scope="module")
def expected(hard: Path) -> dict[bytes, Facts]:
    return facts(hard)


@pytest.fixture(scope="module")
def made(hard: Path, expected: dict[bytes, Facts], scratch: Path) -> Made:
    """Made after C(expected) was looked up, and the last test asks whether the project still is as it was."""
    return backup(hard, scratch / "hard-vault", exclude=())


def extracted(made: Made, target: Path, program: tuple[str, ...]) -> dict[bytes, Facts]:
    target.mkdir()
    tool(*program, made.archive, "-C", target)
    return facts(target)


def test_backup_of_the_hard_project_has_nothing_to_complain_about(made: Made) -> None:
    assert made.result["warnings"] == []
    assert not made.result["incomplete"]


def test_gnu_tar_restores_everything(made: Made, expected: dict[bytes, Facts], tmp_path: Path) -> None:
    assert differences(expected, extracted(made, tmp_path / "out", TAR_EXTRACT)) == []


def test_gnu_tar_finds_no_difference(made: Made, hard: Path) -> None:
    done = run(("tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-dzf", made.archive, "-C", hard))
    complaints = [line for line in done.stderr.splitlines() if b"hdrcharset" not in line and b"time stamp" not in line]
    assert (done.returncode, done.stdout, complaints) == (0, b"", [])


def test_bsdtar_restores_everything_it_knows(made: Made, expected: dict[bytes, Facts], tmp_path: Path) -> None:
    def is_its_limit(path: bytes, fact: str) -> bool:
        negative_fraction = path.startswith((b"times/negative", b"times/just-before")) and fact == "mtime_ns"
        return negative_fraction or fact in BSDTAR_LIMITS.get(path, ())

    assert differences(expected, extracted(made, tmp_path / "out", BSDTAR_EXTRACT), ignore=is_its_limit) == []


def test_bsdtar_reads_acls_with_small_ids(project: Path, vault: Path, tmp_path: Path) -> None:
    tool("setfacl", "-m", "u:1234:rwx,g:77:r,d:u:1234:rwx,d:o::-", project / "src")
    tool("setfacl", "-m", "u:4321:r", project / "src/main.py")
    made = backup(project, vault)
    extracted(made, tmp_path / "out", BSDTAR_EXTRACT)
    assert acls(tmp_path / "out") == acls(project)


def acls(top: Path) -> bytes:
    listing = tool("getfacl", "-R", "-n", "-p", ".", cwd=top)
    assert b"user:1234:rwx" in listing
    return listing


def test_getfacl_says_the_same_after_gnu_tar(made: Made, hard: Path, tmp_path: Path) -> None:
    extracted(made, tmp_path / "out", TAR_EXTRACT)
    assert acls(tmp_path / "out/attributes") == acls(hard / "attributes")


def test_python_reads_everything(made: Made, expected: dict[bytes, Facts], hard: Path) -> None:
    seen = set()
    with tarfile.open(made.archive, "r:gz", errors="surrogateescape") as archive:
        for member in archive:
            path = os.fsencode(member.name)
            seen.add(path)
            assert_member(member, expected[path], path)
            if member.isreg():
                assert_content(archive, member, os.path.join(os.fsencode(hard), path))
    assert seen == expected.keys()


def assert_member(member: tarfile.TarInfo, fact: Facts, path: bytes) -> None:
    kinds: dict[bytes, object] = {tarfile.REGTYPE: stat.S_IFREG, tarfile.LNKTYPE: stat.S_IFREG,
                                  tarfile.DIRTYPE: stat.S_IFDIR, tarfile.SYMTYPE: stat.S_IFLNK,
                                  tarfile.FIFOTYPE: stat.S_IFIFO}  # fmt: skip
    assert kinds[member.type] == fact["type"], path
    assert oct(member.mode) == fact["mode"], path
    assert (member.uid, member.gid) == fact["owner"], path
    # member.mtime is a float, which has no room for nanoseconds
    mtime = Decimal(member.pax_headers.get("mtime", member.mtime))
    assert int(mtime * 10**9) == fact["mtime_ns"], path
    if member.issym():
        assert os.fsencode(member.linkname) == fact["link"], path
    if member.islnk():
        assert os.fsencode(member.linkname) in fact["same inode as"], path  # type: ignore[operator]
    if member.isreg():
        assert member.size == fact["size"], path


def assert_content(archive: tarfile.TarFile, member: tarfile.TarInfo, original: bytes) -> None:
    stream = archive.extractfile(member)
    assert stream is not None
    digest = hashlib.sha256()
    while chunk := stream.read(MIB):
        digest.update(chunk)
    assert tool("sha256sum", "--zero", original).startswith(digest.hexdigest().encode()), original


def test_our_own_restore_brings_everything_back(made: Made, expected: dict[bytes, Facts], tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = restore(made.path.parent, made.id, project=target, scenario="full", keep_setuid=True)
    assert result["warnings"] == []
    assert differences(expected, facts(target)) == []


def test_our_own_restore_in_place_brings_everything_back(
    made: Made, expected: dict[bytes, Facts], tmp_path: Path
) -> None:
    target = tmp_path / "out"
    target.mkdir()
    restore(made.path.parent, made.id, project=target, scenario="files", files=(".",), keep_setuid=True)
    found = differences(expected, facts(target), ignore=lambda path, fact: (path, fact) == (b".", "mtime_ns"))
    assert found == [], "and only the directory that was there already has a time of its own"


def test_set_id_bits_of_files_come_back_only_when_asked_for(made: Made, tmp_path: Path) -> None:
    target = tmp_path / "out"
    result = restore(made.path.parent, made.id, project=target, scenario="full")
    modes = {name: stat.S_IMODE((target / "modes" / name).lstat().st_mode) for name in os.listdir(target / "modes")}
    assert (modes["file-4755"], modes["file-2755"], modes["file-6755"]) == (0o755, 0o755, 0o755)
    assert (modes["directory-2775"], modes["directory-3777"]) == (0o2775, 0o3777), "on directories they are harmless"
    assert len([text for text in result["warnings"] if "set-user-id" in text]) == 3


def test_holes_come_back_as_holes(made: Made, hard: Path, tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    restore(made.path.parent, made.id, project=ours, scenario="full")
    extracted(made, tmp_path / "tar", TAR_EXTRACT)
    for path in sorted((hard / "holes").iterdir()):
        original = path.stat().st_blocks
        assert original * 512 < path.stat().st_size
        for top in (ours, tmp_path / "tar"):
            assert (top / "holes" / path.name).stat().st_blocks <= original + 16, path.name


def test_the_project_is_left_as_it_was(made: Made, hard: Path, expected: dict[bytes, Facts]) -> None:
    assert differences(expected, facts(hard)) == []


def test_sparse_file_of_more_than_8_gib(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    size = 8 * 1024 * MIB + 4097
    make_sparse(os.fsencode(project / "huge"), size, ((0, 10), (5 * 1024 * MIB + 1, 70000), (size - 3, 3)))
    made = backup(project, vault)
    assert made.archive.stat().st_size < MIB
    assert made.report["size_bytes"] == size
    expected = facts(project)
    for program in (TAR_EXTRACT, BSDTAR_EXTRACT):
        found = extracted(made, tmp_path / program[0], program)
        assert differences(expected, found, ignore=lambda path, _: path == b".") == []
        assert (tmp_path / program[0] / "huge").stat().st_blocks < 1000
    (project / "huge").unlink()
    restore(vault, scenario="files", files=("huge",))
    assert differences(expected, facts(project), ignore=lambda path, _: path == b".") == []
    assert (project / "huge").stat().st_blocks < 1000


@pytest.mark.parametrize("seed", range(8))
def test_random_trees_come_back(seed: int, tmp_path: Path, vault: Path) -> None:
    make_random_project(tmp_path / "project", seed)
    expected = facts(tmp_path / "project")
    made = backup(tmp_path / "project", vault, exclude=(), critical=())
    restore(vault, made.id, project=tmp_path / "restored", scenario="full", keep_setuid=True)
    assert differences(expected, extracted(made, tmp_path / "out", TAR_EXTRACT)) == []
    assert differences(expected, facts(tmp_path / "restored")) == []


def test_zlib_makes_the_same_tar_stream(hard: Path, made: Made, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.cora.backup.plugins.module_utils.gzip_frames._isal", None)
    other = backup(hard, scratch / "zlib-vault", exclude=())
    assert (made.report["codec"], other.report["codec"]) == ("isa-l", "zlib")
    assert other.archive.read_bytes() != made.archive.read_bytes()
    assert unpacked_digest(other) == unpacked_digest(made)


def unpacked_digest(made: Made) -> bytes:
    return tool("sh", "-c", 'gzip -dc -- "$1" | sha256sum', "sh", made.archive)
