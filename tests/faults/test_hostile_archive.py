# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that somebody forged, restored by root: nothing outside of the target is written, made or changed."""

from __future__ import annotations

import contextlib
import gzip
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError, IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.restore import run_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import RestoreRequest
from ansible_collections.cora.backup.plugins.module_utils.tar_format import (
    DIRECTORY,
    END_OF_ARCHIVE,
    FIFO,
    HARDLINK,
    SYMLINK,
    encode_member,
)
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from faults.forgery import ARCHIVE, FORGED_ID, INDEX, REPORT, ROOT, Forged, Forger
from faults.lab import Tree, engine, leftovers, tool, tree
from support.quick import slow_but

EVIL = b"written by the archive\n"


def hostile(outside: str) -> dict[str, list[Forged]]:
    """Archives that want to write to C(outside), an absolute path."""
    up = "../" * 12 + outside.lstrip("/")
    return {
        "dotdot": [ROOT, Forged("../evil", data=EVIL)],
        "dotdot inside": [ROOT, Forged("a", DIRECTORY, mode=0o755), Forged("a/../../evil", data=EVIL)],
        "dotdot far": [ROOT, Forged(f"{up}/evil", data=EVIL)],
        "absolute": [ROOT, Forged(f"{outside}/evil", data=EVIL)],
        "absolute directory": [ROOT, Forged(outside, DIRECTORY, mode=0o777)],
        "double slash": [ROOT, Forged("a//evil", data=EVIL)],
        "empty path": [ROOT, Forged("", data=EVIL)],
        "dot is a file": [Forged(".", data=EVIL)],
        "dot is a link": [Forged(".", SYMLINK, link=outside), Forged("evil", data=EVIL)],
        "dotdot is a directory": [ROOT, Forged("..", DIRECTORY, mode=0o777)],
        "through a link": [ROOT, Forged("d", SYMLINK, link=outside), Forged("d/evil", data=EVIL)],
        "through a relative link": [ROOT, Forged("d", SYMLINK, link=up), Forged("d/evil", data=EVIL)],
        "through two links": [
            ROOT,
            Forged("a", SYMLINK, link="b"),
            Forged("b", SYMLINK, link=outside),
            Forged("a/evil", data=EVIL),
        ],
        "a directory over a link": [
            ROOT,
            Forged("d", SYMLINK, link=outside),
            Forged("d", DIRECTORY, mode=0o777),
            Forged("d/evil", data=EVIL),
        ],
        "a file over a link": [ROOT, Forged("f", SYMLINK, link=f"{outside}/canary"), Forged("f", data=EVIL)],
        "a hard link out": [ROOT, Forged("h", HARDLINK, link=f"{outside}/canary"), Forged("h", data=EVIL)],
        "a hard link up": [ROOT, Forged("h", HARDLINK, link=f"{up}/canary")],
        "a hard link through a link": [
            ROOT,
            Forged("d", SYMLINK, link=outside),
            Forged("h", HARDLINK, link="d/canary"),
            Forged("h", data=EVIL),
        ],
        "a hard link to a link": [
            ROOT,
            Forged("l", SYMLINK, link=f"{outside}/canary"),
            Forged("h", HARDLINK, link="l"),
            Forged("h", data=EVIL),
        ],
        "a hard link to itself": [ROOT, Forged("h", HARDLINK, link="h")],
        "a hard link to nothing": [ROOT, Forged("h", HARDLINK, link="none")],
        "twice": [ROOT, Forged("f", data=b"one"), Forged("f", data=EVIL)],
        "a file and a directory": [ROOT, Forged("f", data=EVIL), Forged("f", DIRECTORY), Forged("f/evil", data=EVIL)],
        "newline and escapes": [ROOT, Forged("a\nb\x1b[2J\x07", data=EVIL), Forged("\u202egnp.exe", data=EVIL)],
        "a NUL": [ROOT, Forged("a", data=EVIL, line={"path": "a\x00b"})],
        "a NUL in a link": [ROOT, Forged("a", SYMLINK, link="x", line={"link": "x\x00y"})],
        "the index says otherwise": [ROOT, Forged("a", data=EVIL, line={"path": "../evil"})],
        "the archive says otherwise": [ROOT, Forged("../evil", data=EVIL, line={"path": "a"})],
        "an unknown kind": [ROOT, Forged("a", data=EVIL, line={"type": "device"})],
        "odd types": [ROOT, Forged("a", data=EVIL, line={"at": "0"})],
        "odd path type": [ROOT, Forged("a", data=EVIL, line={"path": 7})],
        "odd mode": [ROOT, Forged("a", data=EVIL, line={"mode": "0x1ff"})],
        "a size beyond all": [ROOT, Forged("a", data=EVIL, line={"size": 1 << 62})],
        "a negative place": [ROOT, Forged("a", data=EVIL, line={"at": -512})],
        "a place beyond": [ROOT, Forged("a", data=EVIL, line={"at": 1 << 40})],
        "many frames": [ROOT, Forged("a", data=EVIL, line={"frames": 1 << 30})],
        "a very long name": [ROOT, Forged("n" * 300, data=EVIL)],
        "very deep": [ROOT, Forged("/".join(["d"] * 800), data=EVIL)],
        "a temporary name": [ROOT, Forged(".cora-20260101-000000-0", data=EVIL)],
    }


CASES = sorted(hostile("/outside"))


@pytest.fixture(scope="module")
def forger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forger]:
    place = tmp_path_factory.mktemp("forger")
    yield Forger(place)
    os.system(f"chattr -R -f -i -a {place}")


@pytest.fixture
def outside(place: Path) -> Path:
    path = place / "outside"
    path.mkdir()
    (path / "canary").write_text("alive\n")
    (path / "below").mkdir()
    return path


def state(place: Path) -> Tree:
    """What must not change, with times: a directory that something was made in has another one."""
    found = tree(place / "outside")
    for path in [*found, "."]:
        status = os.lstat(place / "outside" / path)
        found[path] = (*found.get(path, ()), status.st_mtime_ns, status.st_ctime_ns, status.st_nlink, status.st_mode)
    return found


def restore(forger: Forger, target: Path, scenario: str, *files: str) -> tuple[dict[str, Any], str]:
    """Restore; the result, or the sentence of the error. Anything but a CoraError fails the test."""
    request = RestoreRequest(
        vault=str(forger.vault), id_text=FORGED_ID, project=str(target), scenario=scenario, files=files
    )
    try:
        return run_restore(request), ""
    except CoraError as error:
        return {}, str(error)


@pytest.mark.parametrize("case", CASES)
def test_hostile(case: str, forger: Forger, place: Path, outside: Path) -> None:
    entries = hostile(str(outside))[case]
    before = state(place)
    for scenario, files in (("plan", ()), ("full", ()), ("files", (".",)), ("files", tuple(e.path for e in entries))):
        for critical in ((), tuple(entry.path for entry in entries)):
            wanted = "critical" if critical and scenario == "files" else scenario
            if wanted == "critical":
                files = ()
            forger.forge(entries, critical=critical)
            target = place / "target"
            if scenario == "files" and not target.exists():
                target.mkdir()
            _result, message = restore(forger, target, wanted, *files)
            assert message.isprintable(), repr(message)
            assert state(place) == before, (wanted, message)
            assert [path for path in place.iterdir() if path.name not in ("outside", "target")] == [
                path for path in place.iterdir() if path.name.startswith("target.old-")
            ], message
            assert [path for path in leftovers(place) if path.name != ".cora-20260101-000000-0"] == [], message
    tool("sh", "-c", 'rm -rf "$1"/target*', "sh", place)
    verdict = verify_backup(str(forger.vault), FORGED_ID)
    assert all(str(entry["problem"]).isprintable() for entry in verdict["damaged"])


def test_hidden_entry(forger: Forger, place: Path) -> None:
    """An entry that only tar would see: verify says so, and no restore brings it."""
    entries = [ROOT, Forged("a", data=b"a"), Forged("hidden", data=EVIL, hidden=True), Forged("b", data=b"b")]
    forger.forge(entries)
    assert not verify_backup(str(forger.vault), FORGED_ID)["ok"]
    restore(forger, place / "target", "full")
    assert not (place / "target" / "hidden").exists()


def test_devices(forger: Forger, place: Path) -> None:
    """Header types that are never written: character and block devices, and types that tar treats as files."""
    for flag in b"347SLKgV\x00":
        forged = forger.forge([ROOT, Forged("dev", data=b"")])
        block = bytearray(encode_member(Forged("dev").member()))
        block[156] = flag
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\x00 " % sum(block)
        root = encode_member(ROOT.member())
        frame, end = gzip.compress(root + bytes(block)), gzip.compress(END_OF_ARCHIVE)
        lines = [
            {"format": "cora-index", "version": 1},
            Forger.frame_line(0, 0, frame, len(root) + len(block)),
            Forger.line(ROOT, 0),
            Forger.line(Forged("dev"), len(root)),
            Forger.frame_line(1, len(frame), end, len(END_OF_ARCHIVE)),
            {"end": True, "entries": 2, "frames": 2},
        ]
        forged = forger.write(frame + end, lines)
        assert forged.exists()
        _result, message = restore(forger, place / "target", "full")
        assert "type that is never written" in message
        assert not (place / "target").exists()
        assert not verify_backup(str(forger.vault), FORGED_ID)["ok"]


def test_privileges_are_left_out(forger: Forger, place: Path) -> None:
    """Set-id bits and file capabilities come back only when they are asked for."""
    capability = bytes.fromhex("0100000280000000000000000000000000000000")
    entries = [
        ROOT,
        Forged("suid", data=EVIL, mode=0o4755),
        Forged("sgid", data=EVIL, mode=0o2755),
        Forged("fifo", FIFO, mode=0o4644),
        Forged("capable", data=EVIL, mode=0o755, xattrs={"security.capability": capability}),
    ]
    for scenario, files in (("full", ()), ("files", (".",))):
        forger.forge(entries)
        target = place / f"target-{scenario}"
        if scenario == "files":
            target.mkdir()
        result, message = restore(forger, target, scenario, *files)
        assert result, message
        for path in target.iterdir():
            assert not path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID), path
            assert "security.capability" not in os.listxattr(path, follow_symlinks=False), path
        assert sum("keep_setuid" in warning for warning in result["warnings"]) == 4


def limited(call: str, **arguments: Any) -> Any:
    """The engine with 1.5 GB of address space."""
    return engine(call, wrapper=["prlimit", f"--as={1_500_000_000}", "--"], **arguments)


@pytest.mark.parametrize(
    "bomb", slow_but(["an index line"], ["a frame", "a frame of odd length", "an index", "an index line"])
)
def test_bombs(bomb: str, forger: Forger, place: Path) -> None:
    """A frame, an index line, and an index that unpack to more than there is memory."""
    end = gzip.compress(END_OF_ARCHIVE)
    size = 512 * 1024 * 1024
    big = gzip.compress(bytes(size), 1) if "frame" in bomb else gzip.compress(b"")
    frame = Forger.frame_line(0, 0, big, size)
    lines = [
        {"format": "cora-index", "version": 1},
        {**frame, "length": 1 << 45} if bomb == "a frame of odd length" else frame,
        Forger.line(Forged("a", line={"size": size}), 0),
        Forger.frame_line(1, len(big), end, 1024),
        {"end": True, "entries": 1, "frames": 2},
    ]
    path = forger.write(big + end, lines)
    if "index" in bomb:
        zeros = gzip.compress(bytes(64 * 1024 * 1024)) * 64  # 4 GiB
        (path / INDEX).write_bytes((gzip.compress(b'{"path":"') if "line" in bomb else b"") + zeros)
        Forger.sum_up(path)
    _check_bomb(place, vault=str(forger.vault), id_text=FORGED_ID)


def _check_bomb(place: Path, **arguments: Any) -> None:
    ended = limited("restore", project=str(place / "target"), scenario="full", **arguments)
    assert ended.error("IntegrityError")
    assert limited("verify", **arguments).result()["ok"] is False


@pytest.mark.parametrize("name", [INDEX, ARCHIVE, REPORT, "SHA256SUMS.txt"])
@pytest.mark.parametrize("what", ["link", "fifo", "directory", "gone"])
def test_something_else_in_place_of_a_file(name: str, what: str, forger: Forger, place: Path) -> None:
    path = forger.forge([ROOT, Forged("a", data=b"a")])
    kept = place / "kept"
    (path / name).rename(kept)
    if what == "link":
        (path / name).symlink_to(kept)
    elif what == "fifo":
        os.mkfifo(path / name)
    elif what == "directory":
        (path / name).mkdir()
    arguments: dict[str, Any] = {"vault": str(forger.vault), "id_text": FORGED_ID}
    with contextlib.suppress(IntegrityError):
        assert verify_backup(**arguments)["ok"] is False
    with pytest.raises(IntegrityError):
        run_restore(RestoreRequest(project=str(place / "target"), scenario="full", **arguments))


def test_links_to_directories_in_a_backup(forger: Forger, place: Path) -> None:
    """A directory of the backup that is a link to somewhere: verify says so."""
    path = forger.forge([ROOT, Forged("a", data=b"a")])
    (path / "critical").symlink_to("/etc")
    verdict = verify_backup(str(forger.vault), FORGED_ID)
    assert [entry["artifact"] for entry in verdict["damaged"]] == ["critical"]
