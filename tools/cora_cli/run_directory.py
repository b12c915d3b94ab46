# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a run of Ansible keeps what it writes: gone after a success, kept after a failure."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime, timezone
from pathlib import Path

#: Names the directory of the runs; each job of the timers has one of its own.
VARIABLE = "CORA_RUNS"
_KEPT_AT_MOST = 10


def make_run_directory() -> Path:
    """A new directory that only its owner can enter."""
    named = os.environ.get(VARIABLE, "")
    top = Path(named) if os.path.isabs(named) else _cache_home() / "cora" / "runs"
    prefix = f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-"
    try:
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in sorted(top.glob("2*-*"))[:-_KEPT_AT_MOST]:
            shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=top))
    except OSError:
        # no home, or a read-only one: a service, a container
        return Path(tempfile.mkdtemp(prefix=f"cora-{prefix}"))


def _cache_home() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def remove_run_directory(directory: Path) -> None:
    """After a success nobody wants it."""
    shutil.rmtree(directory, ignore_errors=True)


def keep_run_directory(directory: Path) -> None:
    """After a failure it stays, without the variables of the run, until there are newer ones enough."""
    shutil.rmtree(directory / "env", ignore_errors=True)
    for name in ("command", "fact_cache"):
        for path in directory.glob(f"artifacts/*/{name}"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
