# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(unpushed.bundle): what only this machine has of a repository's history.

In it are, with their commits: local branches, tags, every other ref of the user (notes, ...), each stash as
C(refs/cora/stash/N) (0 is the newest), and commits checked out without a branch as C(refs/cora/HEAD) and, in
further work trees, C(refs/cora/worktrees/NAME). Left out are commits that a remote-tracking branch of a configured
remote has, and a local branch when a remote's branch of the same name has all of it. Git does not record which tags
a remote has: all of them are in it, at a line each.

A clone of the remote takes it with C(git fetch unpushed.bundle 'refs/*:refs/*'). Where there is no remote, the
bundle is the whole history, and C(git clone) takes it.

C(git bundle create) drops a ref that needs no object, such as a branch at a pushed commit. The format has room for
it: the header names the commit as a prerequisite, and the ref. So the header is written here, and the pack by C(git
pack-objects), with the options that C(git bundle) gives it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable

from .errors import ProgramError
from .git_command import GitCommand
from .names import printable, to_bytes, to_text
from .small_files import read_regular

_PACK_SECONDS = 6 * 3600.0
_SHA1_DIGITS = 40
_SHALLOW_LIMIT = 1024 * 1024

# What `git maintenance` prefetches is on the remote, whatever the remote is called.
_PREFETCHED = "refs/prefetch/"


class _Refs:
    """The refs of a repository, sorted into what must be kept and what a remote has."""

    def __init__(self, remotes: set[str]) -> None:
        self.kept: dict[str, str] = {}  # name -> object id
        self.heads: dict[str, str] = {}  # checked-out commits; kept only when no remote has them
        self.pushed: dict[str, str] = {}
        self.remotes = sorted(remotes)


def list_stashes(git: GitCommand) -> list[str]:
    """Commit ids of all stashes, the newest first.

    :raises ProgramError: Git failed
    """
    newest = to_text(git.run("rev-parse", "--verify", "--quiet", "refs/stash", check=False).stdout).strip()
    if not newest:
        return []
    listed = to_text(git.run("rev-list", "--walk-reflogs", "refs/stash", check=False).stdout).split()
    return listed or [newest]  # the log of stashes can be lost while the newest is not


def write_bundle(git: GitCommand, destination: str, scratch_dir: str, warnings: list[str]) -> bool:
    """Write the bundle; False, and no file, when there is nothing to keep.

    :param warnings: gets a sentence for each ref that is broken and therefore missing in the bundle
    :raises ProgramError: Git failed
    """
    refs = _collect(git)
    peeled = _peel(git, refs, warnings)
    try:
        return _write(git, refs, peeled, destination, scratch_dir, warnings)
    except ProgramError:
        if not _drop_broken(git, refs, warnings):
            raise
    return _write(git, refs, peeled, destination, scratch_dir, warnings)


def _collect(git: GitCommand) -> _Refs:
    refs = _Refs(_remote_names(git))
    namespaces = (_PREFETCHED, *(f"refs/remotes/{name}/" for name in refs.remotes))
    for line in git.run("for-each-ref", "--format=%(objectname) %(refname)").stdout.splitlines():
        oid, _space, name = to_text(line).partition(" ")
        if name.startswith(namespaces):
            refs.pushed[name] = oid
        elif name != "refs/stash":
            refs.kept[name] = oid
    for number, oid in enumerate(list_stashes(git)):
        refs.kept[f"refs/cora/stash/{number}"] = oid
    refs.heads = _detached_heads(git)
    return refs


def _remote_names(git: GitCommand) -> set[str]:
    listing = git.run("config", "-z", "--get-regexp", r"^remote\..*\.url$", check=False).stdout
    names = set()
    for entry in listing.split(b"\0"):
        key, _newline, url = to_text(entry).partition("\n")
        if key and not _is_inside(url, git.top):
            names.add(key[len("remote.") : -len(".url")])
    return names


def _is_inside(url: str, top: str) -> bool:
    """Whether a remote is a directory of this very work tree: such a remote keeps nothing safe."""
    path = url[len("file://") :] if url.startswith("file://") else url
    if "://" in path or ":" in path.partition("/")[0]:
        return False  # a real URL, or host:path
    return (os.path.realpath(os.path.join(top, path)) + "/").startswith(top.rstrip("/") + "/")


def _detached_heads(git: GitCommand) -> dict[str, str]:
    """Commits that are checked out without a branch, here and in the repository's other work trees."""
    found: dict[str, str] = {}
    common = to_text(git.run("rev-parse", "--git-common-dir").stdout).rstrip("\n")
    try:
        worktrees = sorted(os.listdir(os.path.join(git.directory, common, "worktrees")))
    except OSError:
        worktrees = []
    places = [("HEAD", "refs/cora/HEAD"), ("main-worktree/HEAD", "refs/cora/worktrees/main")]
    places += [(f"worktrees/{name}/HEAD", f"refs/cora/worktrees/{name}") for name in worktrees]
    for place, name in places:
        if git.run("symbolic-ref", "--quiet", place, check=False).returncode == 0:
            continue
        oid = to_text(git.run("rev-parse", "--verify", "--quiet", f"{place}^{{commit}}", check=False).stdout).strip()
        if oid and oid not in found.values():
            found[name] = oid
    return found


def _peel(git: GitCommand, refs: _Refs, warnings: list[str]) -> dict[str, str]:
    """The commit each object id stands for (none for a tag of a file); refs to objects that are gone are dropped."""
    oids = sorted({*refs.kept.values(), *refs.heads.values(), *refs.pushed.values()})
    ask = "".join(f"{oid}\n{oid}^{{commit}}\n" for oid in oids).encode()
    answers = to_text(git.run("cat-file", "--batch-check=%(objectname)", input_bytes=ask).stdout).splitlines()
    there, commits = answers[::2], answers[1::2]
    gone = {oid for oid, answer in zip(oids, there) if answer != oid}
    for group in (refs.kept, refs.heads, refs.pushed):
        for name in [name for name, oid in group.items() if oid in gone]:
            del group[name]
            if group is not refs.pushed:
                warnings.append(
                    f"Git's {printable(name)} points to an object that is missing; it is not in unpushed.bundle."
                )
    return {oid: commit for oid, commit in zip(oids, commits) if " " not in commit}


def _write(
    git: GitCommand, refs: _Refs, peeled: dict[str, str], destination: str, scratch_dir: str, warnings: list[str]
) -> bool:
    if not refs.kept and not refs.heads:
        return False
    pushed = sorted({peeled[oid] for oid in refs.pushed.values() if oid in peeled})
    fresh, prerequisites = _walk(git, [*refs.kept.values(), *refs.heads.values()], pushed)
    header = {
        name: oid for name, oid in refs.kept.items() if not _is_on_remote(git, name, peeled.get(oid), refs, fresh)
    }
    header.update({name: oid for name, oid in refs.heads.items() if oid in fresh})
    if not header:
        return False
    prerequisites.update(peeled[oid] for oid in header.values() if oid in peeled and peeled[oid] not in fresh)
    _warn_of_shallow(git, fresh, warnings)
    handle, scratch = tempfile.mkstemp(prefix=".bundle-", dir=scratch_dir)
    try:
        with open(handle, "wb") as file:
            file.write(_header(header, prerequisites))
            file.flush()
            _pack(git, header.values(), pushed, file.fileno())
            os.fsync(file.fileno())
        os.rename(scratch, destination)
    except BaseException:
        os.unlink(scratch)
        raise
    return True


def _walk(git: GitCommand, wanted: Iterable[str], pushed: list[str]) -> tuple[set[str], set[str]]:
    """Commits that no remote has, and those just below them, which a remote has."""
    listing = git.run(
        "rev-list", "--boundary", "--stdin", input_bytes=_revisions(wanted, pushed), timeout_seconds=_PACK_SECONDS
    ).stdout
    lines = to_text(listing).split()
    return {line for line in lines if line[0] != "-"}, {line[1:] for line in lines if line[0] == "-"}


def _revisions(wanted: Iterable[str], unwanted: Iterable[str]) -> bytes:
    return "".join([f"{oid}\n" for oid in sorted(set(wanted))] + [f"^{oid}\n" for oid in unwanted]).encode()


def _is_on_remote(git: GitCommand, name: str, commit: str | None, refs: _Refs, fresh: set[str]) -> bool:
    """Whether nothing of a branch would be missed: a remote's branch of this name has all of it."""
    branch = name.partition("refs/heads/")[2]
    if not branch or commit is None or commit in fresh:
        return False
    tips = {refs.pushed.get(f"refs/remotes/{remote}/{branch}") for remote in refs.remotes} - {None}
    if commit in tips:
        return True
    return any(git.run("merge-base", "--is-ancestor", commit, str(tip), check=False).returncode == 0 for tip in tips)


def _warn_of_shallow(git: GitCommand, fresh: set[str], warnings: list[str]) -> None:
    path = to_text(git.run("rev-parse", "--git-path", "shallow").stdout).rstrip("\n")
    ends = fresh.intersection(read_regular(os.path.join(git.directory, path), limit_bytes=_SHALLOW_LIMIT).split())
    if ends:
        warnings.append(
            "This is a shallow clone, and no remote has the commits it starts from: to fetch unpushed.bundle into an "
            f"empty repository, write this into its file .git/shallow first, a line each: {' '.join(sorted(ends))}"
        )


def _header(refs: dict[str, str], prerequisites: Iterable[str]) -> bytes:
    """The format is described in gitformat-bundle(5)."""
    lines = ["# v2 git bundle"]
    if any(len(oid) > _SHA1_DIGITS for oid in refs.values()):
        lines = ["# v3 git bundle", "@object-format=sha256"]
    lines += [f"-{oid} a remote has it" for oid in sorted(prerequisites)]
    lines += [f"{refs[name]} {name}" for name in sorted(refs)]
    return to_bytes("\n".join(lines) + "\n\n")


def _pack(git: GitCommand, wanted: Iterable[str], pushed: list[str], fd: int) -> None:
    git.run(
        *("pack-objects", "--stdout", "--revs", "--thin", "--delta-base-offset", "-q"),
        input_bytes=_revisions(wanted, pushed),
        stdout_fd=fd,
        timeout_seconds=_PACK_SECONDS,
    )


def _drop_broken(git: GitCommand, refs: _Refs, warnings: list[str]) -> bool:
    """Leave out refs whose history has holes, so that the others can be kept; True when some are left."""
    broken = set()
    for oid in {*refs.kept.values(), *refs.heads.values()}:
        revisions = _revisions([oid], sorted(set(refs.pushed.values())))
        walk = ("rev-list", "--objects", "--quiet", "--stdin")
        if git.run(*walk, input_bytes=revisions, check=False, timeout_seconds=_PACK_SECONDS).returncode != 0:
            broken.add(oid)
    for group in (refs.kept, refs.heads):
        for name in [name for name, oid in group.items() if oid in broken]:
            del group[name]
            warnings.append(f"The history of Git's {printable(name)} is damaged; it is not in unpushed.bundle.")
    return bool(broken) and bool(refs.kept or refs.heads)
