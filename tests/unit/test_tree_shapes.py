# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trees of unusual shape: very wide, very deep, below a directory that gives its ACL to all that is made in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.compare import differences, facts
from support.engine import backup, restore
from support.tools import TAR_EXTRACT, tool

_RESTORE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
from pathlib import Path
from support.engine import backup, restore
project, vault = Path(sys.argv[1]), Path(sys.argv[2])
made = backup(project, vault)
restore(vault, made.id, project=project.with_name("restored"), scenario="full")
"""


def test_hard_links_between_hundreds_of_directories(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    (project / "first").mkdir(parents=True)
    (project / "first" / "file").write_text("one inode")
    for number in range(600):
        (project / f"link-{number:03d}").mkdir()
        os.link(project / "first" / "file", project / f"link-{number:03d}" / "file")
    expected = facts(project)
    made = backup(project, vault)
    restore(vault, made.id, project=tmp_path / "restored", scenario="full")
    assert differences(expected, facts(tmp_path / "restored")) == []


@pytest.mark.slow
def test_a_tree_of_700_levels(tmp_path: Path, vault: Path) -> None:
    """In a process with the usual limit of open files, and with a path of 1,400 characters."""
    project = tmp_path / "project"
    deepest = project / "/".join("d" * 700)
    os.makedirs(deepest)
    (deepest / "file").write_text("deep")
    os.link(deepest / "file", project / "d" / "top-link")
    expected = facts(project)
    subprocess.run(
        [sys.executable, "-c", _RESTORE, project, vault],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=True,
        timeout=60,
    )
    assert differences(expected, facts(tmp_path / "restored")) == []
    tool("rm", "-rf", project, tmp_path / "restored")  # too deep for what pytest cleans up with


def test_default_acl_of_the_place_is_not_given_to_restored_files(tmp_path: Path, vault: Path, project: Path) -> None:
    expected = facts(project)
    made = backup(project, vault)
    place = tmp_path / "place"
    place.mkdir()
    tool("setfacl", "-m", "u:1234:rwx,d:u:1234:rwx,d:m::rwx", place)
    restore(vault, made.id, project=place / "restored", scenario="full")
    assert differences(expected, facts(place / "restored")) == []


def test_default_acl_of_a_directory_is_not_given_to_a_file_restored_into_it(vault: Path, project: Path) -> None:
    backup(project, vault)
    expected = facts(project)[b"src/main.py"]
    (project / "src" / "main.py").unlink()
    tool("setfacl", "-m", "d:u:1234:rwx", project / "src")
    restore(vault, scenario="files", files=("src/main.py",))
    assert facts(project)[b"src/main.py"] == expected


def test_a_project_of_nothing(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir(mode=0o711)
    made = backup(project, vault)
    assert (made.result["files"], made.result["size_bytes"]) == (0, 0)
    (tmp_path / "out").mkdir()
    tool(*TAR_EXTRACT, made.archive, "-C", tmp_path / "out")
    assert differences(facts(project), facts(tmp_path / "out")) == []
