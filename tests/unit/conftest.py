# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What engine tests need: a project, and a vault whose sealed files go away at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import clean_pages, durable, git_scratch
from support.tools import need_root, remove_sealed
from support.trees import fill


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Path]:
    """Where a vault may be made."""
    need_root()
    path = tmp_path / "vault"
    yield path
    remove_sealed(path)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project."""
    path = tmp_path / "project"
    (path / "src").mkdir(parents=True)
    (path / "README.md").write_text("# readme\n")
    (path / "AI_WORK_LOG.md").write_text("done so far\n")
    (path / "src" / "main.py").write_text("print('hello')\n")
    (path / "empty").mkdir()
    return path


@pytest.fixture
def big(project: Path) -> Path:
    """A project that is large beside what the tests change in it."""
    fill(os.fsencode(project / "ballast.bin"), 3_000_000)
    return project


@pytest.fixture(scope="module", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """What reaches the disk is for tests/faults; here it would be most of the time, more where others write too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _fd: None)
        for module in (durable, clean_pages, git_scratch):
            patch.setattr(module, "sync_file_system", lambda _fd: None)
        yield


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for what several tests look at; sealed files in it go away at the end."""
    need_root()
    path = tmp_path_factory.mktemp("scratch")
    yield path
    remove_sealed(path)
