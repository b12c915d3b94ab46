# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a module from the collection on disk. C(from_disk.py) sends this, with a call of C(run) as its last line."""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import traceback
from types import ModuleType, TracebackType
from typing import Optional


def run(collection: str, module: str, site: str) -> None:
    """Run a module with the arguments in the file that Ansible names.

    :param collection: directory of this collection, an absolute path
    :param module: its name there
    :param site: directory that has Ansible, for a Python that does not know of it by itself
    """
    _leave_directory_of_program()
    # root leaves no files in a collection that is somebody else's
    sys.dont_write_bytecode = sys.dont_write_bytecode or os.stat(collection).st_uid != os.geteuid()
    sys.path.append(site)
    _name_packages(collection)
    with open(sys.argv.pop(1), encoding="utf-8") as file:
        arguments = json.load(file)
    # where modules look for them that nobody packed; in a file that is given by name, they would remain to be seen
    sys.stdin = io.TextIOWrapper(io.BytesIO(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()))
    sys.excepthook = _say_what_failed
    importlib.import_module(f"ansible_collections.cora.backup.plugins.modules.{module}").main()


def _leave_directory_of_program() -> None:
    """As in a packed module: nothing is imported from beside it, or from where the person stands."""
    beside = os.path.dirname(os.path.realpath(__file__))
    sys.path = [path for path in sys.path if path not in ("", ".", beside)]


def _name_packages(collection: str) -> None:
    """Make the collection's full name mean this directory, whatever other collections Python knows."""
    name = ""
    for part, path in (("ansible_collections", []), ("cora", []), ("backup", [collection])):
        name = f"{name}.{part}".lstrip(".")
        package = ModuleType(name)
        package.__path__ = path
        sys.modules[name] = package


def _say_what_failed(kind: type[BaseException], error: BaseException, trace: Optional[TracebackType]) -> None:
    """Give Ansible an error that the module did not foresee as a result, as packed modules do."""
    if not issubclass(kind, Exception):
        sys.__excepthook__(kind, error, trace)
        return
    text = "".join(traceback.format_exception(kind, error, trace))
    print(json.dumps({"failed": True, "msg": f"Module failed: {error}", "exception": text}))
