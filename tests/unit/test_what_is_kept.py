# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a project is kept, left out, cut or kept twice: patterns, caches, sockets, logs, critical files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import ProjectError, SettingsError
from ansible_collections.cora.backup.plugins.module_utils.patterns import PathFilter
from support.engine import Made, backup
from support.tools import tool
from support.trees import MIB, make_socket

CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# made by a test\n"


def put(project: Path, *paths: str, content: bytes = b"x") -> None:
    for path in paths:
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_bytes(content)


def listed(made: Made) -> set[str]:
    """Paths in the archive, as tar lists them; directories without their slash."""
    lines = tool("tar", "-tzf", made.archive, "--quoting-style=literal").decode().splitlines()
    return {line.rstrip("/") for line in lines} - {"."}


def content(made: Made, path: str) -> bytes:
    return tool("tar", "-xzOf", made.archive, "--", path)


# --- exclusions


def test_defaults_leave_out_what_can_be_made_again(project: Path, vault: Path) -> None:
    put(project, "node_modules/a/b.js", "src/node_modules/c", "venv/x", ".venv/x", "src/__pycache__/m.pyc", ".git/HEAD")
    put(project, "venvs/kept", "my_node_modules/kept", ".gitignore")
    made = backup(project, vault)
    assert listed(made) == {
        "README.md", "AI_WORK_LOG.md", "src", "src/main.py", "empty", "venvs", "venvs/kept", "my_node_modules",
        "my_node_modules/kept", ".gitignore",
    }  # fmt: skip
    assert made.report["excluded"] == {
        "count": 6,
        "paths": [".git", ".venv", "node_modules", "src/__pycache__", "src/node_modules", "venv"],
    }


def test_a_file_of_the_name_of_an_excluded_directory_is_kept(project: Path, vault: Path) -> None:
    """A worktree or a submodule has a file ``.git``."""
    put(project, ".git", "venv")
    assert {".git", "venv"} <= listed(backup(project, vault))


def test_excluding_nothing_keeps_everything(project: Path, vault: Path) -> None:
    put(project, "node_modules/a", "venv/b")
    made = backup(project, vault, exclude=())
    assert {"node_modules/a", "venv/b"} <= listed(made)
    assert made.report["excluded"] == {"count": 0, "paths": []}


def test_last_pattern_that_fits_decides(project: Path, vault: Path) -> None:
    put(project, "cache/a.bin", "cache/keep.bin", "deep/x.bin", "deep/y.txt", "top.bin")
    made = backup(project, vault, exclude=("*.bin", "!keep.bin", "/deep/x*", "!/top.bin"))
    assert {path for path in listed(made) if path.endswith((".bin", ".txt"))} == {
        "cache/keep.bin", "deep/y.txt", "top.bin"
    }  # fmt: skip


def test_nothing_below_an_excluded_directory_comes_back(project: Path, vault: Path) -> None:
    """As Git does it: a directory that is left out is not entered, so a negated pattern below it has no effect."""
    put(project, "out/keep.txt", "out/drop.txt")
    assert not {path for path in listed(backup(project, vault, exclude=("out/", "!out/keep.txt"))) if "out" in path}


def test_patterns_match_names_with_newlines_and_bytes(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    for name in (b"a\nb.tmp", b"a\nb.tmp\n", b"\xff.tmp", b".tmp\nx"):
        (project / os.fsdecode(name)).write_bytes(b"x")
    made = backup(project, vault, exclude=("*.tmp",))
    assert set(made.entries) == {".", "a\nb.tmp\n", ".tmp\nx"}, "a line break in a name is no end of it"


@pytest.mark.parametrize("pattern", ["/", "!", "!/", "a[", "a\\"])
@pytest.mark.parametrize("setting", ["exclude", "critical", "logs"])
def test_patterns_that_mean_nothing_are_refused(pattern: str, setting: str, project: Path, vault: Path) -> None:
    with pytest.raises(SettingsError, match="pattern"):
        backup(project, vault, **{setting: (pattern,)})
    assert not vault.exists() or [path.name for path in vault.iterdir()] == [".cora"]


def test_comments_and_empty_patterns_are_left_alone() -> None:
    paths = PathFilter(("# a comment", "", "  ", "\\#file", "a b"))
    assert [paths.matches(path) for path in ("# a comment", "#file", "a b", "x")] == [False, True, True, False]


@pytest.mark.parametrize(
    ("pattern", "path", "is_dir", "expected"),
    [
        ("a", "a", False, True),
        ("a", "b/a", False, True),
        ("/a", "b/a", False, False),
        ("b/a", "b/a", False, True),
        ("b/a", "c/b/a", False, False),
        ("**/a", "c/b/a", False, True),
        ("a/", "a", False, False),
        ("a/", "a", True, True),
        ("*.log", "x.log", False, True),
        ("*.log", "x.log.1", False, False),
        ("a/**/b", "a/x/y/b", False, True),
        ("?x", "/x", False, False),
        ("[!a]b", "cb", False, True),
        ("\\*", "*", False, True),
        ("\\*", "x", False, False),
    ],
)
def test_patterns_have_gitignore_syntax(pattern: str, path: str, is_dir: bool, expected: bool) -> None:
    assert PathFilter((pattern,)).matches(path, is_dir=is_dir) is expected


def test_git_agrees_about_patterns(tmp_path: Path, vault: Path) -> None:
    patterns = ("*.o", "!main.o", "/build", "doc/**/*.pdf", "tmp/", "a?c", "[xy]z", "*~", "foo/*", "!foo/bar")
    project = tmp_path / "project"
    paths = ["a.o", "main.o", "d/main.o", "build", "d/build", "doc/a.pdf", "doc/x/y/b.pdf", "tmp/x", "d/tmp/x", "abc",
             "xz", "d/yz", "f~", "foo/bar", "foo/baz", "d/foo/baz", "keep"]  # fmt: skip
    put(project, *paths)
    made = backup(project, vault, exclude=patterns)
    put(project, ".gitignore", content="\n".join(patterns).encode())
    tool("git", "init", "-q", cwd=project)
    kept = tool("git", "ls-files", "--others", "--exclude-standard", cwd=project).decode().splitlines()
    assert {path for path in listed(made) if path in paths} == set(kept) - {".gitignore"}


def git(directory: Path, *words: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    tool("git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always", *words, cwd=directory)


def test_repositories_inside_the_project_are_warned_of(project: Path, vault: Path, tmp_path: Path) -> None:
    assert backup(project, vault).result["warnings"] == []
    git(project / "vendor" / "library", "init", "-q")
    (warning,) = backup(project, vault).result["warnings"]
    assert warning.startswith("Git repositories inside the project: vendor/library. Their files are kept")
    git(tmp_path / "other", "init", "-q")
    git(tmp_path / "other", "commit", "-q", "--allow-empty", "-m", "one")
    git(project, "init", "-q")
    git(project, "submodule", "--quiet", "add", str(tmp_path / "other"), "parts/other")
    for name in "abc":
        git(project / "web" / name, "init", "-q")
    warning = next(text for text in backup(project, vault).result["warnings"] if "inside the project" in text)
    assert "vendor/library, web/a, web/b and 2 more." in warning
    git(project, "rm", "-q", "-f", "--cached", "parts/other")
    tool("rm", "-rf", project / "web", project / "vendor")
    warning = next(text for text in backup(project, vault).result["warnings"] if "inside the project" in text)
    assert "inside the project: parts/other. " in warning, "its repository still is there"


def test_nobody_is_warned_of_what_is_kept(project: Path, vault: Path) -> None:
    git(project / "vendor" / "library", "init", "-q")
    assert backup(project, vault, exclude=()).result["warnings"] == []


def test_nobody_is_warned_of_cora_itself(project: Path, vault: Path) -> None:
    git(project / "cora", "init", "-q")
    shutil.copy(Path(__file__).resolve().parents[2] / "galaxy.yml", project / "cora")
    assert backup(project, vault).result["warnings"] == []


def test_cache_directories_are_left_out(project: Path, vault: Path) -> None:
    put(project, "cache/CACHEDIR.TAG", content=CACHE_TAG)
    put(project, "cache/deep/file", "fake/file", "linked/file")
    put(project, "fake/CACHEDIR.TAG", content=b"no signature")
    (project / "linked" / "CACHEDIR.TAG").symlink_to("../cache/CACHEDIR.TAG")
    made = backup(project, vault)
    assert not {path for path in listed(made) if path.startswith("cache")}
    assert {"fake/file", "fake/CACHEDIR.TAG", "linked/file"} <= listed(made)
    assert made.report["excluded"] == {"count": 1, "paths": ["cache"]}


def test_project_that_is_tagged_itself_is_kept(project: Path, vault: Path) -> None:
    put(project, "CACHEDIR.TAG", content=CACHE_TAG)
    assert "README.md" in listed(backup(project, vault)), "who names a directory means it"


# --- the vault inside the project, and the project inside the vault


def test_vault_inside_the_project_is_refused(project: Path) -> None:
    with pytest.raises(SettingsError, match="lies inside the project"):
        backup(project, project / "backups" / "vault")
    assert not (project / "backups").exists()


@pytest.mark.parametrize("pattern", ["backups/", "/backups/", "/backups/vault/", "vault"])
def test_vault_inside_the_project_is_allowed_when_excluded(pattern: str, tmp_path: Path, vault: Path) -> None:
    project = vault  # what the fixture clears of flags
    put(project, "file")
    made = backup(project, project / "backups" / "vault", exclude=(pattern,))
    again = backup(project, project / "backups" / "vault", exclude=(pattern,))
    assert "file" in listed(again)
    assert not {path for path in listed(again) if made.id in path or ".cora" in path}


@pytest.mark.parametrize("inside", [".", "sub/project"])
def test_project_inside_the_vault_is_refused(inside: str, tmp_path: Path) -> None:
    (tmp_path / "vault" / inside).mkdir(parents=True, exist_ok=True)
    with pytest.raises(SettingsError, match="inside the vault"):
        backup(tmp_path / "vault" / inside, tmp_path / "vault")


def test_vault_reached_through_a_link_is_seen(project: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(project)
    with pytest.raises(SettingsError, match="lies inside the project"):
        backup(project, tmp_path / "elsewhere" / "vault")


def test_the_whole_system_is_refused(vault: Path) -> None:
    with pytest.raises(SettingsError, match="whole system"):
        backup(Path("/"), vault)


@pytest.mark.parametrize("kind", ["missing", "file", "link"])
def test_project_has_to_be_a_directory(kind: str, tmp_path: Path, vault: Path) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("x")
    if kind == "link":
        (tmp_path / "target").mkdir()
        path.symlink_to("target")
    with pytest.raises(ProjectError):
        backup(path, vault)


# --- what cannot be kept


def test_sockets_and_devices_are_skipped_and_reported(project: Path, vault: Path) -> None:
    make_socket(project / "src" / "app.sock")
    os.mknod(project / "null", 0o666 | 0o020000, os.makedev(1, 3))
    made = backup(project, vault)
    assert made.report["skipped"] == {"count": 2, "paths": ["null", "src/app.sock"]}
    assert not {"null", "src/app.sock"} & listed(made)
    assert not made.result["incomplete"], "nobody can bring a socket back"


def test_nothing_is_read_through_links(project: Path, vault: Path, tmp_path: Path) -> None:
    put(tmp_path / "outside", "secret")
    (project / "link-to-directory").symlink_to(tmp_path / "outside")
    (project / "CRITICAL.md").symlink_to(tmp_path / "outside" / "secret")
    made = backup(project, vault)
    assert "link-to-directory/secret" not in listed(made)
    assert not (made.path / "critical" / "CRITICAL.md").is_symlink()
    assert not (made.path / "critical" / "CRITICAL.md").exists()


def test_a_fifo_does_not_block(project: Path, vault: Path) -> None:
    os.mkfifo(project / "pipe.md")
    os.mkfifo(project / "pipe.log")
    assert {"pipe.md", "pipe.log"} <= listed(backup(project, vault))


# --- logs


def log_lines(count: int) -> bytes:
    return b"".join(b"%06d something happened\n" % number for number in range(count))


@pytest.mark.parametrize(
    ("name", "is_log"),
    [("app.log", True), ("deep/app.log", True), ("app.log.1", True), ("app.log.12", True), ("app.log.gz", False),
     ("app.log.1.gz", False), ("catalog", False), ("app.log.123", False)],
)  # fmt: skip
def test_only_what_is_surely_a_text_log_is_cut(name: str, is_log: bool, project: Path, vault: Path) -> None:
    data = log_lines(1000)
    put(project, name, content=data)
    made = backup(project, vault, log_cap_bytes=1000)
    assert (len(content(made, name)) <= 1000) == is_log
    assert data.endswith(content(made, name))


@pytest.mark.parametrize("cap", [0, 1, 10, 25, 26, 100, 1000, 25_999, 26_000])
def test_log_keeps_its_newest_lines(cap: int, project: Path, vault: Path) -> None:
    data = log_lines(1000)  # lines of 26 bytes
    put(project, "app.log", content=data)
    made = backup(project, vault, log_cap_bytes=cap)
    kept = content(made, "app.log")
    assert len(kept) <= cap
    assert data.endswith(kept)
    if cap >= 26:
        assert len(kept) > cap - 26, "no more is left out than has to be"
        assert kept[:6].isdigit(), "it starts at a line"
    if len(kept) < len(data):
        assert made.report["cut_logs"] == [{"path": "app.log", "size_bytes": len(data), "kept_bytes": len(kept)}]
        assert made.entries["app.log"]["cut_bytes"] == len(data) - len(kept)
    else:
        assert made.report["cut_logs"] == []


def test_log_of_one_endless_line_is_not_kept_empty(project: Path, vault: Path) -> None:
    put(project, "app.log", content=b"x" * 10_000 + b"\n")
    made = backup(project, vault, log_cap_bytes=1000)
    assert content(made, "app.log") == b"x" * 999 + b"\n"


def test_log_at_its_cap_is_whole(project: Path, vault: Path) -> None:
    put(project, "app.log", content=log_lines(10))
    made = backup(project, vault, log_cap_bytes=260)
    assert content(made, "app.log") == log_lines(10)
    assert made.report["cut_logs"] == []


def test_large_log_is_cut_in_the_stream_too(project: Path, vault: Path) -> None:
    data = log_lines(20 * MIB // 26)
    put(project, "app.log", content=data)
    made = backup(project, vault, log_cap_bytes=17 * MIB)
    kept = content(made, "app.log")
    assert 17 * MIB - 26 < len(kept) <= 17 * MIB
    assert data.endswith(kept)
    assert kept[:6].isdigit()


def test_critical_log_is_never_cut(project: Path, vault: Path) -> None:
    put(project, "AI_WORK_LOG.log", content=log_lines(1000))
    made = backup(project, vault, log_cap_bytes=100)
    assert content(made, "AI_WORK_LOG.log") == log_lines(1000)
    assert (made.path / "critical" / "AI_WORK_LOG.log").read_bytes() == log_lines(1000)


# --- critical files


def critical(made: Made) -> set[str]:
    return {str(path.relative_to(made.path / "critical")) for path in (made.path / "critical").rglob("*")
            if not path.is_dir()}  # fmt: skip


def test_critical_files_stand_plain_at_their_paths(project: Path, vault: Path) -> None:
    put(project, ".env", ".env.local", "docs/notes.md", "docs/MY_WORK_LOG.txt", "deep/er/.env", "docker-compose.yml",
        "docker-compose.prod.yaml", "ecosystem.config.js", "sub/ecosystem.config.js")  # fmt: skip
    made = backup(project, vault)
    assert critical(made) == {
        "README.md", "AI_WORK_LOG.md", ".env", ".env.local", "docs/MY_WORK_LOG.txt", "deep/er/.env",
        "docker-compose.yml", "docker-compose.prod.yaml", "ecosystem.config.js",
    }  # fmt: skip
    assert set(made.report["critical"]) == critical(made)
    assert critical(made) <= listed(made), "the archive is complete without them"


@pytest.mark.parametrize("size", [0, 1, MIB + 1, 17 * MIB])
def test_critical_file_of_any_size_is_the_same_twice(size: int, project: Path, vault: Path) -> None:
    put(project, "big.md", content=os.urandom(size))
    os.chmod(project / "big.md", 0o4640)
    os.chown(project / "big.md", 1234, 5678)
    os.utime(project / "big.md", ns=(1, 1_234_567_890_123_456_789))
    made = backup(project, vault)
    copy = made.path / "critical" / "big.md"
    assert copy.read_bytes() == (project / "big.md").read_bytes() == content(made, "big.md")
    status = copy.stat()
    assert (status.st_uid, status.st_gid, status.st_mtime_ns) == (1234, 5678, 1_234_567_890_123_456_789)
    assert status.st_mode & 0o7777 == 0o640, "no set-id bits in a place that people look into"


def test_critical_file_over_the_limit_is_only_in_the_archive(project: Path, vault: Path, monkeypatch: Any) -> None:
    module = "ansible_collections.cora.backup.plugins.module_utils.project_archiver"
    monkeypatch.setattr(f"{module}.CRITICAL_LIMIT_BYTES", 20 * MIB)
    put(project, "big.md", content=bytes(range(256)) * (21 * MIB // 256))
    made = backup(project, vault)
    assert "big.md" not in critical(made)
    assert "big.md" in listed(made)
    assert any("big.md" in warning for warning in made.result["warnings"])


def test_no_critical_pattern_means_no_critical_files(project: Path, vault: Path) -> None:
    assert not (backup(project, vault, critical=()).path / "critical").exists()
