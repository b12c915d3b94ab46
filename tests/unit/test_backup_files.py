# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files beside the archive, as sha256sum, a JSON Schema and a reader find them."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ansible_collections.cora.backup.plugins.module_utils import project_archiver
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.layout import decode_sums, encode_sums, read_artifact
from ansible_collections.cora.backup.plugins.module_utils.source_files import UnreadableError
from support.engine import Document, Made, backup
from support.tools import run, tool
from support.trees import MIB, fill, make_socket

SCHEMA = Path(__file__).resolve().parents[2] / "docs/report.schema.json"
ODD_NAMES = (
    b"new\nline.md",
    b"back\\slash.md",
    b"\\\n.md",
    b"carriage\rreturn.md",
    b"\xff\xfe.md",
    b" space .md",
    b"-dash.md",
)


@cache
def validator() -> jsonschema.Draft202012Validator:
    schema: Any = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def assert_valid(report: Document) -> None:
    assert [f"{error.json_path}: {error.message}" for error in validator().iter_errors(report)] == []


@pytest.fixture(scope="module")
def made(scratch: Path) -> Made:
    """A backup in which every list of the report has something."""
    project = scratch / "busy"
    (project / "node_modules" / "x").mkdir(parents=True)
    for name in ODD_NAMES:
        (project / os.fsdecode(name)).write_bytes(name)
    fill(os.fsencode(project / "photos.bin"), 3 * MIB)
    fill(os.fsencode(project / "tracked.bin"), 2 * MIB)
    (project / "app.log").write_bytes(b"old line\n" * 1000)
    (project / "secret.db").write_bytes(b"\x8f" * 4096)
    (project / "link").symlink_to("app.log")
    os.link(project / "photos.bin", project / "photos-too.bin")
    os.mkfifo(project / "fifo")
    make_socket(project / "socket")
    tool("sqlite3", project / "real.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1);")
    (project / "broken.db").write_bytes(b"SQLite format 3\0" + b"\xee" * 5000)
    git = ("git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=a@example.org")
    tool(*git, "init", "-q", "-b", "work")
    tool(*git, "add", "tracked.bin")
    tool(*git, "commit", "-q", "-m", "first")
    tool(*git, "remote", "add", "origin", "https://user:hunter2@git.example.org/x.git")
    return backup(project, scratch / "busy-vault", log_cap_bytes=900, large_file_bytes=2 * MIB - 1)


def test_sha256sum_accepts_every_line(made: Made) -> None:
    done = run(("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt"), cwd=made.path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_every_other_file_has_a_line(made: Made) -> None:
    found = tool("find", ".", "-type", "f", "!", "-name", "SHA256SUMS.txt", "-print0", cwd=made.path)
    listed = tool("sha256sum", "--check", "--strict", "SHA256SUMS.txt", cwd=made.path).split(b"\n")[:-1]
    assert len(listed) == found.count(b"\0")
    assert len([name for name in found.split(b"\0") if name.startswith(b"./critical/")]) == len(ODD_NAMES) + 1


def test_lines_are_sorted_and_as_sha256sum_writes_them(made: Made) -> None:
    names = sorted(path[2:] for path in tool("find", ".", "-type", "f", "-print0", cwd=made.path).split(b"\0")[:-1])
    names.remove(b"SHA256SUMS.txt")
    assert (made.path / "SHA256SUMS.txt").read_bytes() == tool("sha256sum", "--", *names, cwd=made.path)


def test_critical_files_are_byte_for_byte_those_of_the_project(made: Made) -> None:
    project = made.path.parent.parent / "busy"
    for name in ODD_NAMES:
        copy, original = made.path / "critical" / os.fsdecode(name), project / os.fsdecode(name)
        assert copy.read_bytes() == original.read_bytes()
        one, other = copy.stat(), original.stat()
        assert (one.st_uid, one.st_gid, one.st_mode, one.st_mtime_ns) == (
            other.st_uid, other.st_gid, other.st_mode, other.st_mtime_ns
        )  # fmt: skip


def test_sums_go_there_and_back_and_no_byte_of_them_may_change() -> None:
    digests = {os.fsdecode(name): f"{number:064x}" for number, name in enumerate((*ODD_NAMES, b"plain", b"a/b"))}
    data = encode_sums(digests)
    assert decode_sums(data) == digests
    for at in range(len(data)):
        for changed in (data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], data[:at] + data[at + 1 :]):
            try:
                assert decode_sums(changed) != digests
            except IntegrityError:
                pass


A, B = b"a" * 64, b"b" * 64
NOT_AS_WRITTEN = {
    "not sorted": A + b"  y\n" + B + b"  x\n",
    "twice": A + b"  x\n" + B + b"  x\n",
    "not ended": A + b"  x\n" + B + b"  y",
    "an empty line": A + b"  x\n\n" + B + b"  y\n",
    "a carriage return": A + b"  x\r\n",
    "a backslash": A + b"  x\\y\n",
    "needlessly marked": b"\\" + A + b"  x\n",
    "large digits": A.upper() + b"  x\n",
    "no name": A + b"  \n",
    "one space": A + b" x\n",
    "binary": A + b" *x\n",
}


@pytest.mark.parametrize("how", NOT_AS_WRITTEN)
def test_sums_that_are_not_as_written_are_damaged(how: str) -> None:
    with pytest.raises(IntegrityError):
        decode_sums(NOT_AS_WRITTEN[how])


def test_sums_are_sorted_by_bytes() -> None:
    data = A + b"  z\n" + B + b"  \xc3\xa9\n" + A + b"  \xff\n"
    assert decode_sums(data) == {"z": "a" * 64, "é": "b" * 64, "\udcff": "a" * 64}
    assert decode_sums(b"") == {}


def test_a_small_file_of_a_backup_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "REPORT.json"
    path.write_bytes(b"0123456789")
    fd = os.open(tmp_path, os.O_RDONLY)
    read = os.read
    for pieces in (1000, 3):  # some file systems hand a file out in pieces
        monkeypatch.setattr(os, "read", lambda fd, size, most=pieces: read(fd, min(size, most)))
        assert read_artifact(str(path)) == b"0123456789"
        assert read_artifact(str(path), backup_fd=fd) == b"0123456789"
    assert read_artifact(str(path), at_most_bytes=10) == b"0123456789"
    with pytest.raises(OSError, match="large"):
        read_artifact(str(path), at_most_bytes=9)
    os.close(fd)


def test_only_a_regular_file_of_a_backup_is_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "directory").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    for name in ("link", "fifo", "directory", "nothing"):
        for backup_fd in (None, fd):
            with pytest.raises(OSError) as caught:
                read_artifact(str(tmp_path / name), backup_fd=backup_fd)
            assert caught.value.filename == str(tmp_path / name)
    os.close(fd)


def test_report_is_as_its_schema_says(made: Made) -> None:
    assert_valid(made.report)
    for key in ("critical", "databases", "cut_logs", "warnings"):
        assert made.report[key], f"{key} is empty, so the schema proved nothing of it"
    for key in ("excluded", "skipped"):
        assert made.report[key]["paths"], key


def test_report_is_ascii_that_any_program_reads(made: Made) -> None:
    assert (made.path / "REPORT.json").read_bytes().isascii()
    assert json.loads(tool("python3", "-m", "json.tool", made.path / "REPORT.json")) == made.report


def test_schema_refuses_what_is_not_a_report(made: Made) -> None:
    good = made.report
    for key in good:
        assert not validator().is_valid({name: value for name, value in good.items() if name != key}), key
        assert not validator().is_valid({**good, key: object.__class__.__name__ if key != "codec" else 5}), key
    for change in (
        {"other": 1},
        {"kind": "checkpoint"},
        {"base": good["id"]},
        {"size_bytes": -1},
        {"settings": {**good["settings"], "more": 1}},
        {"entries": {"device": 1}},
        {"critical": ["/absolute"]},
    ):
        assert not validator().is_valid({**good, **change}), change


def test_report_says_what_there_is(made: Made) -> None:
    report = made.report
    project = made.path.parent.parent / "busy"
    archive = tool("tar", "-tvzf", made.archive).splitlines()
    kinds = [line[:1].decode() for line in archive]
    assert report["entries"] == {"dir": kinds.count("d"), "file": kinds.count("-"), "hardlink": kinds.count("h"),
                                 "symlink": kinds.count("l"), "fifo": kinds.count("p")}  # fmt: skip
    assert report["files"] == kinds.count("-") + kinds.count("h") == made.result["files"]
    assert report["archive_bytes"] == made.archive.stat().st_size == made.result["archive_bytes"]
    assert report["archive_sha256"].encode() == tool("sha256sum", made.archive)[:64]
    assert report["size_bytes"] == sum(entry["size"] for entry in made.entries.values())
    assert report["id"] == made.id
    assert report["project"] == str(project)
    assert report["cut_logs"] == [{"path": "app.log", "size_bytes": 9000, "kept_bytes": 900}]
    assert report["excluded"] == {"count": 2, "paths": [".git", "node_modules"]}
    assert report["skipped"] == {"count": 1, "paths": ["socket"]}
    assert [row["path"] for row in report["databases"] if row["integrity"] == "ok"] == ["real.db"]
    assert report["incomplete"] is False


def test_report_of_an_incomplete_backup_is_valid_too(
    project: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(found: object, **_: object) -> None:
        raise UnreadableError("Input/output error")

    monkeypatch.setattr(project_archiver, "read_at_once", refuse)
    made = backup(project, vault)
    assert_valid(made.report)
    assert made.result["incomplete"] is made.report["incomplete"] is True
    assert {row["path"] for row in made.report["unreadable"]} == {"README.md", "AI_WORK_LOG.md", "src/main.py"}
    assert len(made.result["warnings"]) == 3


def test_large_files_are_listed_with_their_digest(made: Made) -> None:
    project = made.path.parent.parent / "busy"
    comment, *lines = (made.path / "LARGE_FILES.txt").read_text().splitlines()
    assert comment.startswith("#")
    listing = tool("sha256sum", "photos.bin", "tracked.bin", cwd=project).decode().split()
    sums = dict(zip(listing[1::2], listing[::2], strict=True))
    assert lines == [
        f"{3 * MIB}\t{sums['photos.bin']}\tuntracked\tphotos-too.bin",
        f"{2 * MIB}\t{sums['tracked.bin']}\ttracked\ttracked.bin",
    ]
    assert made.report["large_files"] == 2


def test_large_files_without_a_repository(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name, size in (("a\nb.bin", 1001), ("limit.bin", 1000), ("cut.log", 5000)):
        fill(os.fsencode(project / name), size)
    made = backup(project, vault, large_file_bytes=1000, log_cap_bytes=100)
    _, *lines = (made.path / "LARGE_FILES.txt").read_text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["5000", "1001"]
    assert [line.split("\t")[2:] for line in lines] == [["no repository", "cut.log"], ["no repository", "a\\x0ab.bin"]]
    assert lines[0].split("\t")[1] == "-"


def test_manifest_names_what_a_person_wants_to_know(made: Made) -> None:
    text = (made.path / "MANIFEST.txt").read_text()
    sections = re.findall(r"^\[(.+)\]$", text, flags=re.MULTILINE)
    assert {"backup", "git", "settings"} <= set(sections)
    values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    assert (values["id"], values["branch"], values["dirty"]) == (made.id, "work", "yes")
    assert values["log_cap_bytes"] == "900"
    assert "hunter2" not in text
    assert "git.example.org" in text
    assert os.uname().release in text


def test_backup_is_for_root_alone(made: Made) -> None:
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
    for name in ("MANIFEST.txt", "REPORT.json", "INDEX.jsonl.gz", "cora-full.tar.gz"):
        assert stat.S_IMODE((made.path / name).stat().st_mode) == 0o600


def test_every_file_and_directory_is_immutable(made: Made) -> None:
    flags = subprocess.run(["lsattr", "-R", "-a", "-d", made.path], capture_output=True, check=True).stdout
    assert b"i" in flags.split()[0]
    for directory, _, names in os.walk(made.path):
        for path in (directory, *(os.path.join(directory, name) for name in names)):
            assert b"i" in tool("lsattr", "-d", "--", path).split()[0], path
    assert run(("rm", "-rf", made.path)).returncode != 0
    assert run(("tee", "-a", made.archive), input_bytes=b"x").returncode != 0
    assert b"a" in tool("lsattr", "-d", made.path.parent).split()[0], "nothing in the vault is renamed or removed"


def test_unpushed_commits_are_in_the_bundle(made: Made) -> None:
    heads = tool("git", "bundle", "list-heads", made.path / "git/unpushed.bundle").decode()
    assert "refs/heads/work" in heads


def test_parts_that_would_be_empty_are_missing(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    made = backup(project, vault)
    assert sorted(path.name for path in made.path.iterdir()) == [
        "INDEX.jsonl.gz", "LARGE_FILES.txt", "MANIFEST.txt", "REPORT.json", "SHA256SUMS.txt", "cora-full.tar.gz"
    ]  # fmt: skip
    assert_valid(made.report)


def test_a_new_vault_closes_nothing_beside_it(project: Path, tmp_path: Path, vault: Path) -> None:
    (tmp_path / "vault").mkdir()
    made = backup(project, vault / "below" / "vault")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (made.path.parent, made.path.parent.parent)}
    assert modes == {"vault": 0o700, "below": 0o755}
