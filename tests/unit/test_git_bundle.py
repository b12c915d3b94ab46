# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""git_bundle: what no remote has comes back, with the real git on both sides."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.errors import ProgramError
from ansible_collections.cora.backup.plugins.module_utils.git_repo import GitRepo
from ansible_collections.cora.backup.plugins.module_utils.names import to_text
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


def test_failure_leaves_no_bundle(project: Path, scratch: Path) -> None:
    commit(project, "work")
    lost = git(project, "rev-parse", "HEAD:work")
    (project / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with pytest.raises(ProgramError):
        opened(project).write_unpushed_bundle(str(scratch / "b"), str(scratch))
    assert list(scratch.iterdir()) == []
