# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-test sanity, on a copy of the tree at the place ansible-test insists on."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import yaml

from .commands import ROOT, repository_files, run
from .outcome import Outcome, from_returncode

#: ansible-test fetches pip from a host of its own; the pip that comes with Python does as well, and needs no network.
BOOTSTRAP = """\
import subprocess, sys
subprocess.check_call([sys.executable, "-m", "ensurepip"])  # in a child: ensurepip hides pip's configuration
args = [arg for arg in sys.argv[1:] if arg not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", *args]))
"""


def run_sanity(fast: bool) -> Outcome:
    """The sanity tests with the Python that runs this; C(fast) leaves out the one that takes as long as the others."""
    # A home of its own: ansible-test keeps its environments and its copy of pip there, between runs.
    home = ROOT / ".cache" / "ansible-test"
    write_bootstrap(home / ".ansible" / "test" / "cache")
    with tempfile.TemporaryDirectory(prefix="cora-sanity-") as scratch:
        tree = Path(scratch) / "ansible_collections" / "cora" / "backup"
        export_tree(tree)
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        argv = ["ansible-test", "sanity", "--requirements", "--python", python, "--color", "no"]
        argv += ["--skip-test", "pylint"] if fast else []
        code, output = run(argv, cwd=tree, env={"HOME": str(home), **pip_configuration()}, timeout_seconds=900)
    return from_returncode(code, findings(output))


def findings(output: str) -> str:
    """What went wrong, without the chatter of pip; all of it where ansible-test itself broke."""
    lines = output.splitlines()
    found = [line for line in lines if line.startswith(("ERROR:", "WARNING:"))]
    fatal = next((number for number, line in enumerate(lines) if line.startswith("FATAL:")), len(lines))
    return "\n".join(found + lines[fatal:]) if found else output


def export_tree(tree: Path) -> None:
    """Copy the collection: what a build takes, and the settings of the sanity tests."""
    left_out = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["build_ignore"]
    for name in repository_files():
        is_setting = name.parts[:2] in (("tests", "config.yml"), ("tests", "sanity"))
        places = [str(name), *map(str, name.parents)]
        if not is_setting and any(fnmatch(place, pattern) for place in places for pattern in left_out):
            continue
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)


def write_bootstrap(cache: Path) -> None:
    """Put the bootstrap where ansible-test would have cached the one it downloads."""
    package = importlib.util.find_spec("ansible_test")
    if package is None or not package.submodule_search_locations:
        return
    source = Path(package.submodule_search_locations[0], "_internal", "python_requirements.py").read_text(
        encoding="utf-8"
    )
    cache.mkdir(parents=True, exist_ok=True)
    for version in re.findall(r"pip='([0-9.]+)'", source):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP)


def pip_configuration() -> dict[str, str]:
    """The user's pip configuration, which the other home would hide."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    path = os.path.join(base, "pip", "pip.conf")
    return {"PIP_CONFIG_FILE": path} if "PIP_CONFIG_FILE" not in os.environ and os.path.exists(path) else {}
