# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup that takes over what did not change is the one that reading everything would have made."""

from __future__ import annotations

import errno
import mmap
import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils import clean_pages, durable, source_files
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import nothing_to_save
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.compare import facts
from support.engine import Document, Made, backup
from support.quick import slow_but
from support.tools import TAR_EXTRACT, remove_sealed, run, tool
from support.trees import MIB, fill

#: The real one, before the fixture for all tests takes it away.
SYNC = durable.sync_file_system
SETTINGS: dict[str, Any] = {"log_cap_bytes": 50_000, "large_file_bytes": 2_000_000}
#: What may differ: when, how long, how well the frames are filled.
_OWN_KEYS = {"id", "created_at", "duration_seconds", "archive_bytes", "archive_sha256", "reused", "stored_bytes"}
_PLACE_KEYS = {"frame", "at", "frames", "source", "fresh"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files rest after 50 ms here, five times the slowest clock; a second would make this file slow."""
    monkeypatch.setattr(source_files, "_SETTLED_NS", 50_000_000)


def rest() -> None:
    """Let what was written come to rest."""
    time.sleep(0.06)


@pytest.fixture
def others(tmp_path: Path) -> Iterator[Path]:
    """A vault for the backups that read everything."""
    path = tmp_path / "others"
    yield path
    remove_sealed(path)


@pytest.fixture
def tree(original: Path, tmp_path: Path) -> Path:
    """A project of a dozen frames, with all that is treated in its own way."""
    top = tmp_path / "tree"
    tool("cp", "-a", original, top)
    return top


@pytest.fixture(scope="module")
def original(scratch: Path) -> Path:
    """Made once: every test changes a copy."""
    top = scratch / "reuse-tree"
    dice = random.Random(7)
    for number in range(700):
        path = top / f"src/part{number % 9}/sub{number % 7}/file{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        fill(bytes(path), dice.choice((0, 40, 3000, 9000, 30000)), seed=number + 1)
    for name, size in (("medium.bin", 3 * MIB), ("huge.bin", 17 * MIB), ("zlast.bin", MIB + 5)):
        fill(bytes(top / name), size)
    with (top / "sparse.img").open("wb") as stream:
        stream.truncate(5 * MIB)
        stream.seek(2 * MIB)
        stream.write(b"middle")
    (top / "README.md").write_text("# readme\n")
    (top / ".env").write_text("SECRET=1\n")
    (top / "server.log").write_text("".join(f"line {number}\n" for number in range(9000)))
    (top / "links").mkdir()
    (top / "links/first").write_text("several names\n")
    os.link(top / "links/first", top / "links/second")
    os.link(top / "links/first", top / "src/part0/third")
    (top / "links/soft").symlink_to("first")
    os.mkfifo(top / "links/fifo")
    (top / "empty").mkdir()
    os.setxattr(top / "README.md", "user.note", b"kept")
    for name in ("app.db", "src/part3/small.sqlite"):
        make_database(top / name)
    for name in ("fake.db", "fake_WORK_LOG.db", "fake_z.db"):  # a plain file, one that is critical, a plain one
        (top / name).write_text("no database at all\n")
    return top


def make_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(2000)])
    connection.close()


def compare(made: Made, read: Made, scratch: Path) -> None:
    """Whether two backups hold the same, by tar and by all that stands beside the archive."""
    trees = []
    for number, one in enumerate((made, read)):
        target = scratch / f"unpacked-{one.id}-{number}"
        target.mkdir()
        tool(*TAR_EXTRACT, one.archive, "-C", target)
        trees.append(target)
    assert facts(trees[0]) == facts(trees[1])
    assert run(["diff", "-r", "--no-dereference", "-x", "fifo", *trees]).returncode == 0
    for part in ("critical", "db"):
        both = [one.path / part for one in (made, read)]
        assert both[0].exists() == both[1].exists()
        if both[0].exists():
            plain, expected = (_files_of(facts(top)) for top in both)
            assert plain == expected
    assert (made.path / "LARGE_FILES.txt").read_bytes() == (read.path / "LARGE_FILES.txt").read_bytes()
    assert _without(made.report, _OWN_KEYS) == _without(read.report, _OWN_KEYS)
    assert abs(made.report["stored_bytes"] - read.report["stored_bytes"]) <= 8192
    ours, theirs = ([_without(line, _PLACE_KEYS) for line in one.index if "path" in line] for one in (made, read))
    assert ours == theirs
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=made.path)
    assert verify_backup(str(made.path.parent), made.id)["damaged"] == []
    for target in trees:
        tool("rm", "-r", target)


def _without(document: dict[str, Any], keys: set[str]) -> dict[str, Any]:
    """Nor what is said of earlier backups: the two have others."""
    said = [text for text in document.get("warnings", []) if not text.startswith("Critical files that earlier")]
    return {**{key: value for key, value in document.items() if key not in keys}, "warnings": said}


def _files_of(found: dict[bytes, Document]) -> dict[bytes, Document]:
    """Without the directories, whose times are when the backup was made."""
    return {path: fact for path, fact in found.items() if fact["content"] is not None}


def both(tree: Path, vault: Path, others: Path, scratch: Path, **settings: Any) -> Made:
    """Back up, read everything into another vault too, and compare."""
    chosen = {**SETTINGS, **settings}
    rest()
    made = backup(tree, vault, **chosen)
    compare(made, backup(tree, others, paranoid=True, **chosen), scratch)
    return made


def test_nothing_changed(tree: Path, vault: Path, others: Path, tmp_path: Path) -> None:
    first = both(tree, vault, others, tmp_path)
    assert first.report["reused"] == {"backup": None, "frames": 0, "entries": 0, "archive_bytes": 0, "damaged": 0}
    second = both(tree, vault, others, tmp_path)
    reused = second.report["reused"]
    assert reused["backup"] == first.id
    assert reused["entries"] == sum(second.report["entries"].values())
    assert reused["damaged"] == 0
    assert second.archive.read_bytes() == first.archive.read_bytes()
    assert second.index == first.index
    # complete and independent: no inode is in two backups, and each has its seal
    inodes = [{path.stat().st_ino for path in one.path.rglob("*")} for one in (first, second)]
    assert not inodes[0] & inodes[1]
    assert all(one.result["sealed"] for one in (first, second))
    tool("chattr", "-R", "-i", first.path)
    tool("chattr", "-a", vault)
    tool("rm", "-r", first.path)
    assert verify_backup(str(vault), second.id)["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_random_changes(seed: int, tree: Path, vault: Path, others: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    both(tree, vault, others, tmp_path)
    for _round in range(4):
        for _change in range(dice.choice((1, 3, 30))):
            dice.choice(RANDOM_CHANGES)(tree, dice)
        reused = both(tree, vault, others, tmp_path).report["reused"]
        assert reused["backup"] is not None
        assert reused["damaged"] == 0
        assert reused["frames"] > 0


def _any_file(top: Path, dice: random.Random) -> Path:
    return dice.choice(sorted(path for path in (top / "src").rglob("*") if path.is_file() and not path.is_symlink()))


def _any_directory(top: Path, dice: random.Random) -> Path:
    return dice.choice(sorted(path for path in (top / "src").rglob("*") if path.is_dir()))


def _grow(top: Path, dice: random.Random) -> None:
    with _any_file(top, dice).open("ab") as stream:
        stream.write(dice.randbytes(dice.choice((1, 5000, 2_000_000))))


def _rewrite(top: Path, dice: random.Random) -> None:
    path = _any_file(top, dice)
    path.write_bytes(dice.randbytes(path.stat().st_size))


def _rewrite_in_secret(top: Path, dice: random.Random) -> None:
    path = _any_file(top, dice)
    status = path.stat()
    path.write_bytes(dice.randbytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _add(top: Path, dice: random.Random) -> None:
    directory = _any_directory(top, dice)
    for number in range(dice.choice((1, 2, 300))):
        fill(bytes(directory / f"{dice.choice('0amz')}{dice.randrange(10**9)}-{number}"), dice.randrange(9000))


def _rename_directory(top: Path, dice: random.Random) -> None:
    _any_directory(top, dice).rename(top / "src" / f"moved{dice.randrange(10**9)}")


def _remove_directory(top: Path, dice: random.Random) -> None:
    tool("rm", "-r", _any_directory(top, dice))


def _link(top: Path, dice: random.Random) -> None:
    os.link(_any_file(top, dice), _any_directory(top, dice) / f"{dice.choice('0z')}link{dice.randrange(10**9)}")


def _to_directory(top: Path, dice: random.Random) -> None:
    path = _any_file(top, dice)
    path.unlink()
    path.mkdir()


RANDOM_CHANGES: tuple[Callable[[Path, random.Random], object], ...] = (
    _grow,
    _rewrite,
    _rewrite_in_secret,
    _add,
    _rename_directory,
    _remove_directory,
    _link,
    _to_directory,
    lambda top, dice: _any_file(top, dice).unlink(),
    lambda top, dice: _any_file(top, dice).chmod(dice.choice((0o600, 0o4711))),
    lambda top, dice: os.chown(_any_directory(top, dice), dice.randrange(5000), 7),
    lambda top, dice: os.setxattr(_any_file(top, dice), "user.note", dice.randbytes(9)),
    lambda top, dice: os.setxattr(_any_directory(top, dice), "user.note", dice.randbytes(9)),
    lambda top, dice: _any_file(top, dice).rename(top / f"up{dice.randrange(10**9)}"),
)


def _change_database(top: Path) -> None:
    with sqlite3.connect(top / "app.db") as connection:
        connection.execute("INSERT INTO t VALUES ('new')")
    connection.close()


def _append(name: str) -> Callable[[Path], None]:
    def append(top: Path) -> None:
        with (top / name).open("ab") as stream:
            stream.write(b"more\n")

    return append


def _cache(top: Path) -> None:
    (top / "src/part4/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n")


def _become_database(top: Path) -> None:
    (top / "fake.db").unlink()
    make_database(top / "fake.db")


def _lead_elsewhere(top: Path) -> None:
    (top / "links/soft").unlink()
    (top / "links/soft").symlink_to("second")


CHANGES: dict[str, Callable[[Path], Any]] = {
    "a log that is cut": _append("server.log"),
    "a critical file": _append("README.md"),
    "a file of many frames": _append("huge.bin"),
    "a file of its own frames": _append("medium.bin"),
    "a file with holes": _append("sparse.img"),
    "a database": _change_database,
    "a database is none any more": lambda top: (top / "app.db").write_text("text\n"),
    "a file becomes a database": _become_database,
    "what stands beside a database": lambda top: (top / "app.db-journal").write_bytes(b""),
    "one of several names": _append("links/second"),
    "the first of several names goes": lambda top: (top / "links/first").unlink(),
    "a link leads elsewhere": _lead_elsewhere,
    "an attribute": lambda top: os.setxattr(top / "README.md", "user.note", b"other"),
    "an ACL": lambda top: tool("setfacl", "-m", "u:77:r", top / "src/part1"),
    "an owner": lambda top: os.chown(top / "links/soft", 12, 34, follow_symlinks=False),
    "a mode": lambda top: (top / "empty").chmod(0o2750),
    "a directory is a cache now": _cache,
    "all is gone": lambda top: tool("sh", "-c", 'rm -rf "$1"/*', "sh", top),
}


#: Of each way to take over or not, one.
QUICK_CHANGES = ("a log that is cut", "a database", "one of several names", "all is gone")


@pytest.mark.parametrize("change", slow_but(QUICK_CHANGES, CHANGES))
def test_change(change: str, tree: Path, vault: Path, others: Path, tmp_path: Path) -> None:
    rest()
    backup(tree, vault, **SETTINGS)
    CHANGES[change](tree)
    made = both(tree, vault, others, tmp_path)
    assert made.report["reused"]["backup"] is not None


OTHER_SETTINGS: dict[str, Document] = {
    "something is excluded": {"exclude": ("/src/part2/", "*9.txt")},
    "the first of several names is excluded": {"exclude": ("/links/first",)},
    "a file is critical": {"critical": ("/medium.bin", "/huge.bin", "/src/part1/sub1/*")},
    "nothing is critical": {"critical": ()},
    "logs may be longer": {"log_cap_bytes": 60_000},
    "logs are not cut": {"log_cap_bytes": 1_000_000},
    "other logs": {"logs": ("*.txt",), "log_cap_bytes": 500},
    "a log is critical": {"critical": ("*.log",)},
    "what is large": {"large_file_bytes": 100},
}


@pytest.mark.parametrize("change", slow_but(["something is excluded"], OTHER_SETTINGS))
def test_other_settings(change: str, tree: Path, vault: Path, others: Path, tmp_path: Path) -> None:
    rest()
    backup(tree, vault, **SETTINGS)
    made = both(tree, vault, others, tmp_path, **OTHER_SETTINGS[change])
    assert made.report["reused"]["frames"] > 0
    # and back again
    both(tree, vault, others, tmp_path)


@pytest.mark.slow
def test_what_was_excluded_comes_back(tree: Path, vault: Path, others: Path, tmp_path: Path) -> None:
    rest()
    backup(tree, vault, exclude=("/links/first", "/src/part5/"), **SETTINGS)
    assert both(tree, vault, others, tmp_path).report["reused"]["frames"] > 0


def test_a_user_has_another_name(tree: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    rest()
    backup(tree, vault, **SETTINGS)
    record = list(pwd.getpwuid(0))
    record[0] = "renamed"
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: pwd.struct_passwd(record))
    made = backup(tree, vault, **SETTINGS)
    assert made.report["reused"]["frames"] == 0
    assert b"renamed" in tool("tar", "-tvzf", made.archive)


def test_written_just_before_it_was_read(
    tree: Path, vault: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "_SETTLED_NS", 3600 * 10**9)
    backup(tree, vault, **SETTINGS)
    assert both(tree, vault, others, tmp_path).report["reused"]["frames"] == 0


def test_written_through_mapped_memory(tmp_path: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_pages, "sync_file_system", SYNC)
    top = tmp_path / "mapped"
    top.mkdir()
    path = top / "array.bin"
    path.write_bytes(bytes(300_000))
    os.sync()
    before_ns = path.stat().st_ctime_ns
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as memory:
        rest()
        memory[:3] = b"one"
        if path.stat().st_ctime_ns == before_ns:
            pytest.skip("this file system never stamps what is written through mapped memory")
        rest()
        backup(top, vault, **SETTINGS)
        memory[:3] = b"two"
        assert nothing_to_save(BackupSettings(project=str(top), vault=str(vault), **SETTINGS)) is None
        made = backup(top, vault, **SETTINGS)
    assert tool("tar", "-xzOf", made.path / "cora-full.tar.gz", "array.bin")[:3] == b"two"


@pytest.mark.slow
def test_where_nothing_can_be_brought_to_disk_all_is_read_again(
    tree: Path, vault: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(clean_pages, "sync_file_system", fail)
    backup(tree, vault, **SETTINGS)
    assert both(tree, vault, others, tmp_path).report["reused"]["frames"] == 0


@pytest.mark.slow
def test_a_log_of_a_database_that_moves(tree: Path, vault: Path, others: Path, tmp_path: Path) -> None:
    connection = sqlite3.connect(tree / "app.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("INSERT INTO t VALUES ('first')")
    connection.commit()
    rest()
    backup(tree, vault, **SETTINGS)
    unchanged = both(tree, vault, others, tmp_path)
    assert unchanged.report["reused"]["entries"] == sum(unchanged.report["entries"].values())
    connection.execute("INSERT INTO t VALUES ('second')")
    connection.commit()
    made = both(tree, vault, others, tmp_path)
    connection.close()
    uri = f"file:{made.path}/db/app.db?immutable=1"
    assert tool("sqlite3", uri, "SELECT count(*) FROM t WHERE x = 'second'") == b"1\n"


def test_paranoid_takes_nothing_over(tree: Path, vault: Path) -> None:
    rest()
    backup(tree, vault, **SETTINGS)
    made = backup(tree, vault, paranoid=True, **SETTINGS)
    assert made.report["reused"]["backup"] is None
    assert made.report["reused"]["frames"] == 0


def test_another_project_gives_nothing(tree: Path, project: Path, vault: Path) -> None:
    rest()
    backup(project, vault)
    assert backup(tree, vault, **SETTINGS).report["reused"]["backup"] is None


@pytest.mark.slow
def test_archives_do_not_crumble(tmp_path: Path, vault: Path) -> None:
    top = tmp_path / "daily"
    for number in range(600):
        directory = top / f"d{number % 3}"
        directory.mkdir(parents=True, exist_ok=True)
        fill(bytes(directory / f"file{number:04}"), 8000, seed=number + 1)
    dice = random.Random(3)
    for day in range(40):
        rest()
        made = backup(top, vault)
        fill(bytes(top / "d1" / f"zz-day{day:02}"), 3000, seed=day + 1)
        victim = dice.choice(sorted((top / "d0").iterdir()))
        victim.unlink()
        fill(bytes(top / "d2" / f"file{dice.randrange(600):04}-{day}"), 12000, seed=day + 1)
    sizes = [frame["size"] for frame in made.frames][:-1]
    assert made.report["reused"]["frames"] > 0
    assert len(sizes) <= 2 * sum(sizes) / MIB + 2
    assert max(sizes) < 3 * MIB
