# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""git_repo and git_command: what a repository tells, and never obeying it, with the real git."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import programs
from ansible_collections.cora.backup.plugins.module_utils.git_repo import GitRepo
from support.git_lab import ENVIRONMENT, bare_repository, clone_of, commit, fingerprint, git, opened


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return bare_repository(tmp_path)


@pytest.fixture
def project(tmp_path: Path, remote: Path) -> Path:
    return clone_of(remote, tmp_path / "project")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


def test_broken_repositories_and_a_missing_git_are_a_warning(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spoil in ("HEAD", "objects"):
        copy = tmp_path / f"broken-{spoil}"
        shutil.copytree(project, copy)
        shutil.rmtree(copy / ".git" / spoil, ignore_errors=True)
        if spoil == "HEAD":
            (copy / ".git" / "HEAD").write_bytes(b"\0" * 40)
        warnings: list[str] = []
        assert GitRepo.open(str(copy), warnings) is None
        assert len(warnings) == 1
        assert str(copy) in warnings[0]
    (tmp_path / "pointer").mkdir()
    (tmp_path / "pointer" / ".git").write_text("gitdir: /nowhere\n")
    assert GitRepo.open(str(tmp_path / "pointer")) is None
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(programs, "SYSTEM_PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    warnings = []
    assert GitRepo.open(str(project), warnings) is None
    assert "install the package git" in warnings[0]


def test_a_pipe_in_place_of_a_file_of_gits_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".git")
    warnings: list[str] = []
    assert GitRepo.open(str(tmp_path), warnings) is None
    assert warnings


def test_description(project: Path) -> None:
    git(project, "remote", "add", "second", "https://me:hunter2@example.org/x.git")
    git(project, "remote", "set-url", "--push", "second", "https://ghp_secret@example.org/x.git")
    git(project, "mv", "one", "renamed")
    (project / "two").write_text("changed")
    (project / "new file").write_text("untracked")
    found = opened(project).describe()
    assert found["branch"] == "main"
    assert found["commit"] == git(project, "rev-parse", "HEAD")
    assert found["subject"] == "add three"
    assert (found["dirty"], found["changed_files"], found["untracked_files"]) == ("yes", "2", "1")
    assert "second https://example.org/x.git" in found["remotes"]
    assert "hunter2" not in str(found)
    assert "ghp_secret" not in str(found)
    git(project, "stash", "-q")
    git(project, "checkout", "-q", "--detach")
    found = opened(project).describe()
    assert found["branch"] == "(detached)"
    assert found["stashes"] == "1"


def test_tracked_paths_are_taken_literally(project: Path) -> None:
    (project / "sub").mkdir()
    for name in ("a*b", "axb", "sub/in", ":(glob)x"):
        (project / name).write_text(name)
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "names")
    (project / "not").write_text("tracked")
    repo = opened(project)
    asked = ["a*b", ":(glob)x", "not", "absent", "sub", "sub/in", "../outside", "/etc/passwd", ""]
    assert repo.tracked_paths(asked) == {"a*b", ":(glob)x", "sub/in"}
    assert repo.tracked_paths([]) == set()
    assert repo.tracked_paths(["one", *(f"many-{number:08d}" for number in range(20_000))]) == {"one"}
    assert opened(project / "sub").tracked_paths(["in", "one"]) == {"in"}
    assert repo.warnings == []


def booby_trap(project: Path, marker: Path) -> None:
    """Every setting that names a program names one that leaves a mark."""
    program = project / "trap.sh"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{marker}'\ncat\n")
    program.chmod(0o755)
    (project / "pipe.txt").write_text("content\n")
    (project / ".gitattributes").write_text("*.txt filter=trap diff=trap\n")
    git(project, "add", "-A")
    git(project, "commit", "-q", "-m", "attributes")
    for name in (
        *(
            "core.fsmonitor",
            "core.pager",
            "core.sshCommand",
            "core.askPass",
            "core.editor",
            "core.alternateRefsCommand",
        ),
        *("core.gitProxy", "credential.helper", "diff.external", "diff.trap.textconv", "diff.trap.command"),
        *("filter.trap.clean", "filter.trap.smudge", "filter.trap.process", "gpg.program", "pager.status"),
        *("uploadpack.packObjectsHook", "remote.origin.uploadpack", "alias.status", "alias.ls-files"),
    ):
        git(project, "config", name, str(program))
    git(project, "config", "log.showSignature", "true")
    git(project, "config", "protocol.ext.allow", "always")
    for hook in ("post-index-change", "pre-auto-gc", "reference-transaction", "fsmonitor-watchman"):
        target = project / ".git" / "hooks" / hook
        target.parent.mkdir(exist_ok=True)
        shutil.copy(program, target)
    (project / "pipe.txt").write_text("altered\n")  # same size: git status has to look inside


def test_nothing_that_the_configuration_names_is_run(project: Path, tmp_path: Path, scratch: Path) -> None:
    marker = tmp_path / "marker"
    booby_trap(project, marker)
    # The trap works: the plain command falls into it.
    subprocess.run(["git", "-C", str(project), "status"], env=ENVIRONMENT, capture_output=True, check=False)
    assert marker.exists()
    marker.unlink()
    os.utime(project / "pipe.txt", (1, 1))
    before = fingerprint(project)
    repo = opened(project)
    assert repo.short_sha()
    assert repo.describe()["dirty"] == "yes"
    assert repo.tracked_paths(["one"]) == {"one"}
    assert repo.write_unpushed_bundle(str(tmp_path / "b"), str(scratch))
    assert not marker.exists(), marker.read_text()
    assert fingerprint(project) == before
    assert repo.warnings == []


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every account can enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        yield Path(directory)


def log_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a git in front that notes who calls it."""
    real = programs.find_program("git")
    log = tmp_path / "accounts"
    log.touch()
    log.chmod(0o666)
    front = tmp_path / "front"
    front.mkdir()
    (front / "git").write_text(f"#!/bin/sh\nid -u >> '{log}'\nexec {real} \"$@\"\n")
    (front / "git").chmod(0o755)
    monkeypatch.setattr(programs, "SYSTEM_PATH", f"{front}:{programs.SYSTEM_PATH}")
    return log


@pytest.mark.parametrize("root_owns", ["nothing", "work tree", "repository"])
def test_root_works_as_the_owner_of_a_foreign_repository(
    project: Path, scratch: Path, reachable: Path, monkeypatch: pytest.MonkeyPatch, root_owns: str
) -> None:
    assert os.geteuid() == 0, "this promise is about root: run the tests as root, in a container if need be"
    commit(project, "work")
    shutil.copytree(project, reachable / "project", symlinks=True)
    for path in (reachable / "project", *(reachable / "project").rglob("*")):
        inside = ".git" in path.parts
        if not (inside and root_owns == "repository") and not (not inside and root_owns == "work tree"):
            os.chown(path, 12345, 23456, follow_symlinks=False)
    log = log_accounts(reachable, monkeypatch)
    repo = opened(reachable / "project")
    assert repo.short_sha() == git(project, "rev-parse", "--short=7", "HEAD")
    assert repo.describe()["dirty"] == "no"
    assert repo.tracked_paths(["work", "absent"]) == {"work"}
    assert repo.write_unpushed_bundle(str(scratch / "b"), str(scratch))
    assert set(log.read_text().split()) == {"12345"}
    assert repo.warnings == []


def test_a_foreign_repository_where_its_owner_cannot_go(project: Path, scratch: Path) -> None:
    """Files unpacked under /root keep the numbers of another machine's accounts."""
    assert os.geteuid() == 0, "this promise is about root: run the tests as root, in a container if need be"
    commit(project, "work")
    for path in (project, *project.rglob("*")):
        os.chown(path, 12345, 23456, follow_symlinks=False)
    project.parent.chmod(0o700)
    repo = opened(project)
    assert repo.short_sha()
    assert repo.write_unpushed_bundle(str(scratch / "b"), str(scratch))
    assert repo.warnings == []
