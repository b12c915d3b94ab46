# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""git_repo, git_command and git_bundle, with the real git on both sides."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import programs
from ansible_collections.cora.backup.plugins.module_utils.errors import ProgramError
from ansible_collections.cora.backup.plugins.module_utils.git_repo import GitRepo
from ansible_collections.cora.backup.plugins.module_utils.names import to_text

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "c",
    "GIT_COMMITTER_EMAIL": "c@example.org",
}


def git(directory: Path, *arguments: str) -> str:
    settings = ("-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", "-C", str(directory), *settings, *arguments],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(directory: Path, name: str, content: str = "") -> str:
    (directory / name).write_text(content or name)
    git(directory, "add", "-A")
    git(directory, "commit", "-q", "-m", f"add {name}")
    return git(directory, "rev-parse", "HEAD")


def opened(project: Path) -> GitRepo:
    warnings: list[str] = []
    repo = GitRepo.open(str(project), warnings)
    assert repo is not None, warnings
    return repo


def fingerprint(directory: Path) -> dict[str, tuple[int, int, str]]:
    """Every file of a repository, so that a test can say that nothing was written."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() and not path.is_symlink() else ""
        found[str(path)] = (status.st_mtime_ns, status.st_ino, content)
    return found


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository with three commits on main."""
    path = tmp_path / "remote.git"
    path.mkdir()
    git(path, "init", "-q", "--bare")
    seed = tmp_path / "seed"
    git(tmp_path, "clone", "-q", str(path), str(seed))
    git(seed, "checkout", "-q", "-b", "main")
    for name in ("one", "two", "three"):
        commit(seed, name, f"{name}\n" * 200)
    git(seed, "push", "-q", "origin", "main")
    return path


@pytest.fixture
def project(tmp_path: Path, remote: Path) -> Path:
    path = tmp_path / "project"
    git(tmp_path, "clone", "-q", str(remote), str(path))
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    path = tmp_path / "scratch"
    path.mkdir()
    return path


def bundle(project: Path, scratch: Path) -> Path | None:
    destination = scratch.parent / "unpushed.bundle"
    before = fingerprint(project)
    written = opened(project).write_unpushed_bundle(str(destination), str(scratch))
    assert fingerprint(project) == before
    assert written == destination.exists()
    assert list(scratch.iterdir()) == []
    return destination if written else None


def restored(remote: Path, bundle_file: Path) -> Path:
    """A clone of the remote that has taken the bundle, checked by git."""
    clone = bundle_file.parent / "restored"
    git(bundle_file.parent, "clone", "-q", str(remote), str(clone))
    git(clone, "checkout", "-q", "--detach")
    git(clone, "bundle", "verify", str(bundle_file))
    git(clone, "fetch", "-q", str(bundle_file), "refs/*:refs/*")
    git(clone, "fsck", "--full", "--strict")
    return clone


def test_nothing_unpushed_gives_no_bundle(project: Path, scratch: Path) -> None:
    assert bundle(project, scratch) is None
    git(project, "reset", "-q", "--hard", "HEAD~1")  # behind its remote, with nothing of its own
    assert bundle(project, scratch) is None


def test_no_commit_yet_and_no_repository(tmp_path: Path, scratch: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    warnings: list[str] = []
    assert GitRepo.open(str(empty), warnings) is None
    assert warnings == []
    git(empty, "init", "-q")
    repo = opened(empty)
    assert repo.short_sha() is None
    assert repo.describe()["commit"] == "(no commit yet)"
    assert repo.describe()["branch"] == "main"
    assert repo.describe()["dirty"] == "no"
    assert bundle(empty, scratch) is None


def test_every_commit_branch_tag_and_stash_comes_back(project: Path, remote: Path, scratch: Path) -> None:
    pushed = git(project, "rev-parse", "HEAD~1")
    commit(project, "local-work")
    git(project, "branch", "at-a-pushed-commit", pushed)
    git(project, "tag", "light", pushed)
    git(project, "tag", "-a", "-m", "a message of its own", "annotated", pushed)
    git(project, "checkout", "-q", "-b", "topic", "HEAD~1")
    commit(project, "topic-work")
    git(project, "tag", "-a", "-m", "new", "new-tag")
    git(project, "tag", "-a", "-m", "tag of a tag", "nested", "new-tag")
    git(project, "tag", "of-a-file", "HEAD:topic-work")
    git(project, "notes", "add", "-m", "a note")
    for number in range(3):
        (project / "one").write_text(f"stashed {number}")
        (project / "untracked").write_text(f"untracked {number}")
        git(project, "stash", "push", "-q", "--include-untracked", "-m", f"stash {number}")
    git(project, "checkout", "-q", "--detach", "main")
    detached = commit(project, "on-no-branch")

    file = bundle(project, scratch)
    assert file is not None
    clone = restored(remote, file)
    for name in ("light", "annotated", "new-tag", "nested", "of-a-file"):
        ref = f"refs/tags/{name}"
        assert git(clone, "rev-parse", ref) == git(project, "rev-parse", ref)
    for ref in ("refs/heads/main", "refs/heads/topic", "refs/heads/at-a-pushed-commit", "refs/notes/commits"):
        assert git(clone, "rev-parse", ref) == git(project, "rev-parse", ref)
    assert git(clone, "rev-parse", "refs/cora/HEAD") == detached
    for number in range(3):
        stash = git(project, "rev-parse", f"stash@{{{number}}}")
        assert git(clone, "rev-parse", f"refs/cora/stash/{number}") == stash
    git(clone, "stash", "apply", "-q", "refs/cora/stash/2")
    assert (clone / "untracked").read_text() == "untracked 0"
    # Only what the remote lacks: the three pushed files are not in it a second time.
    assert file.stat().st_size < 8000


def test_only_names_are_unpushed(project: Path, remote: Path, scratch: Path) -> None:
    pushed = git(project, "rev-parse", "HEAD~2")
    git(project, "branch", "kept", pushed)
    git(project, "tag", "kept-too", pushed)
    file = bundle(project, scratch)
    assert file is not None
    assert git(project, "bundle", "list-heads", str(file)).splitlines() == [
        f"{pushed} refs/heads/kept",
        f"{pushed} refs/tags/kept-too",
    ]
    clone = restored(remote, file)
    assert git(clone, "rev-parse", "kept", "kept-too") == f"{pushed}\n{pushed}"


def test_a_branch_is_covered_only_by_a_remote_branch_of_its_name(project: Path, scratch: Path, remote: Path) -> None:
    commit(project, "more")
    git(project, "push", "-q", "origin", "main:refs/heads/feature/main")
    git(project, "fetch", "-q")
    file = bundle(project, scratch)  # the commits are on the remote, but its main is elsewhere
    assert file is not None
    assert git(project, "bundle", "list-heads", str(file)) == f"{git(project, 'rev-parse', 'main')} refs/heads/main"


def test_without_a_remote_the_bundle_is_the_whole_history(project: Path, scratch: Path) -> None:
    git(project, "remote", "remove", "origin")
    file = bundle(project, scratch)
    assert file is not None
    clone = scratch.parent / "clone"
    git(scratch.parent, "clone", "-q", "-b", "main", str(file), str(clone))
    assert git(clone, "log", "--format=%H") == git(project, "log", "--format=%H")
    assert (clone / "three").read_text() == (project / "three").read_text()


def test_a_remote_inside_the_project_keeps_nothing_safe(project: Path, scratch: Path) -> None:
    commit(project, "work")
    git(project, "remote", "remove", "origin")
    git(project, "remote", "add", "self", "./.git")
    git(project, "fetch", "-q", "self")
    file = bundle(project, scratch)
    assert file is not None
    git(scratch.parent, "clone", "-q", "-b", "main", str(file), str(scratch.parent / "clone"))


def test_refs_left_by_a_remote_that_is_gone_are_kept(project: Path, scratch: Path) -> None:
    git(project, "config", "--remove-section", "remote.origin")
    file = bundle(project, scratch)
    assert file is not None
    assert "refs/remotes/origin/main" in git(project, "bundle", "list-heads", str(file))


def test_a_linked_worktree_and_its_siblings(project: Path, remote: Path, scratch: Path, tmp_path: Path) -> None:
    git(project, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = commit(tmp_path / "side", "side-work")
    git(project, "worktree", "add", "-q", "--detach", str(tmp_path / "loose"))
    loose = commit(tmp_path / "loose", "loose-work")
    assert opened(tmp_path / "side").short_sha() == side[:7]
    assert opened(tmp_path / "side").describe()["branch"] == "side"
    file = bundle(tmp_path / "side", scratch)
    assert file is not None
    clone = restored(remote, file)
    assert git(clone, "rev-parse", "refs/heads/side") == side
    assert git(clone, "rev-parse", "refs/cora/worktrees/loose") == loose
    shutil.rmtree(clone)
    from_loose = bundle(tmp_path / "loose", scratch)
    assert from_loose is not None
    assert git(restored(remote, from_loose), "rev-parse", "refs/cora/HEAD") == loose


def test_a_submodule(project: Path, remote: Path, scratch: Path) -> None:
    git(project, "submodule", "add", "-q", str(remote), "sub")
    git(project, "commit", "-q", "-m", "submodule")
    assert (project / "sub" / ".git").is_file()
    inner = commit(project / "sub", "inner")
    assert opened(project / "sub").short_sha() == inner[:7]
    outer = opened(project).describe()
    assert (outer["dirty"], outer["changed_files"]) == ("yes", "1")
    file = bundle(project / "sub", scratch)
    assert file is not None
    assert git(restored(remote, file), "rev-parse", "refs/heads/main") == inner


def test_a_shallow_clone_with_its_remote(remote: Path, tmp_path: Path, scratch: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{remote}", str(tmp_path / "shallow"))
    head = commit(tmp_path / "shallow", "work")
    assert opened(tmp_path / "shallow").describe()["shallow"] == "yes"
    file = bundle(tmp_path / "shallow", scratch)
    assert file is not None
    assert git(restored(remote, file), "rev-parse", "refs/heads/main") == head


def test_a_shallow_clone_that_lost_its_remote(remote: Path, tmp_path: Path, scratch: Path) -> None:
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{remote}", str(shallow))
    head = commit(shallow, "work")
    git(shallow, "remote", "remove", "origin")
    repo = opened(shallow)
    assert repo.write_unpushed_bundle(str(tmp_path / "b"), str(scratch))
    (warning,) = repo.warnings
    # What the warning tells a person to do.
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q", "-b", "elsewhere")
    (fresh / ".git" / "shallow").write_text("\n".join(warning.rpartition(": ")[2].split()) + "\n")
    git(fresh, "fetch", "-q", str(tmp_path / "b"), "refs/*:refs/*")
    assert git(fresh, "rev-parse", "refs/heads/main") == head
    git(fresh, "fsck", "--full")


def test_a_partial_clone_fetches_nothing(remote: Path, tmp_path: Path, scratch: Path) -> None:
    git(remote, "config", "uploadpack.allowFilter", "true")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{remote}", str(partial))
    head = commit(partial, "three", "changed\n")
    file = bundle(partial, scratch)
    assert file is not None
    assert git(restored(remote, file), "rev-parse", "refs/heads/main") == head


def test_borrowed_objects_are_found(remote: Path, tmp_path: Path, scratch: Path) -> None:
    """A borrows from B, which borrows from C by a relative path; the commit to keep is in C alone."""
    for name, origin in (("c", remote), ("b", tmp_path / "c"), ("a", tmp_path / "b")):
        git(tmp_path, "clone", "-q", "--shared", str(origin), str(tmp_path / name))
        commit(tmp_path / name, name)
    alternates = tmp_path / "b" / ".git" / "objects" / "info" / "alternates"
    alternates.write_text("../../../c/.git/objects\n")
    git(tmp_path / "a", "remote", "remove", "origin")
    file = bundle(tmp_path / "a", scratch)
    assert file is not None
    git(tmp_path, "clone", "-q", "-b", "main", str(file), str(tmp_path / "clone"))
    assert len(git(tmp_path / "clone", "log", "--format=%H").splitlines()) == 6


def test_sha256_repositories(tmp_path: Path, scratch: Path) -> None:
    path = tmp_path / "sha256"
    path.mkdir()
    git(path, "init", "-q", "--object-format=sha256")
    head = commit(path, "file")
    file = bundle(path, scratch)
    assert file is not None
    git(path, "bundle", "verify", str(file))
    git(tmp_path, "clone", "-q", "-b", "main", str(file), str(tmp_path / "clone"))
    assert git(tmp_path / "clone", "rev-parse", "HEAD") == head


def test_names_that_are_not_utf8(project: Path, remote: Path, scratch: Path) -> None:
    raw = b"refs/heads/not-utf8-\xff"
    head = commit(project, "work")
    subprocess.run(
        [b"git", b"-C", os.fsencode(project), b"update-ref", raw, head.encode()], env=ENVIRONMENT, check=True
    )
    file = bundle(project, scratch)
    assert file is not None
    assert raw in file.read_bytes()
    (project / to_text(b"file-\xff")).write_text("x")
    git(project, "add", "-A")
    assert opened(project).tracked_paths([to_text(b"file-\xff")]) == {to_text(b"file-\xff")}


def test_a_damaged_branch_does_not_cost_the_others(project: Path, remote: Path, scratch: Path) -> None:
    good = commit(project, "good")
    git(project, "checkout", "-q", "-b", "bad")
    commit(project, "lost")
    bad = git(project, "rev-parse", "HEAD:lost")
    commit(project, "after")
    (project / ".git" / "objects" / bad[:2] / bad[2:]).unlink()
    (project / ".git" / "refs" / "heads" / "gone").write_text("1" * 40 + "\n")
    (project / ".git" / "refs" / "heads" / "empty").write_text("")
    repo = opened(project)
    file = scratch.parent / "b"
    assert repo.write_unpushed_bundle(str(file), str(scratch))
    assert [warning for warning in repo.warnings if "refs/heads/bad" in warning]
    assert [warning for warning in repo.warnings if "refs/heads/gone" in warning]
    assert git(restored(remote, file), "rev-parse", "refs/heads/main") == good


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


def test_failure_leaves_no_bundle(project: Path, scratch: Path) -> None:
    commit(project, "work")
    lost = git(project, "rev-parse", "HEAD:work")
    (project / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(ProgramError):
        opened(project).write_unpushed_bundle(str(scratch / "b"), str(scratch))
    assert list(scratch.iterdir()) == []


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
