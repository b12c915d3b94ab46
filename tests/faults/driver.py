# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls the engine in a process of its own, so that it can be killed, starved and stripped of rights.

``driver.py '{"call": "backup", ...}'`` prints one JSON document. Exit codes: 0 done, 3 a CoraError (in the document),
4 a person's Ctrl-C; anything else is a defect of the engine, with its traceback on stderr.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "playbooks" / "collections"))

from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.keep_rules import Policy, PruneRequest
from ansible_collections.cora.backup.plugins.module_utils.patterns import PathFilter
from ansible_collections.cora.backup.plugins.module_utils.prune import prune
from ansible_collections.cora.backup.plugins.module_utils.restore import run_restore
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings, RestoreRequest, Service
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup

ENGINE_ERROR, INTERRUPTED = 3, 4


def call(request: dict[str, Any]) -> dict[str, Any]:
    """Do what a request says; lists become tuples, services become what the engine takes."""
    arguments = _as_arguments(request)
    wanted = arguments.pop("call")
    if "services" in arguments:
        arguments["services"] = tuple(Service(**_as_arguments(service)) for service in arguments["services"])
    if wanted == "backup":
        return create_backup(BackupSettings(**arguments))
    if wanted == "save":
        return save(BackupSettings(**arguments))
    if wanted == "prune":
        return prune(PruneRequest(policy=Policy(**arguments.pop("policy")), **arguments))
    if wanted == "restore":
        return run_restore(RestoreRequest(**arguments))
    if wanted == "undo":
        return undo_last(arguments.pop("vault"), **arguments)
    if wanted == "verify":
        return verify_backup(arguments.pop("vault"), arguments.pop("id_text"), **arguments)
    return {}


def _as_arguments(document: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}


def become_other_user(uid: int) -> None:
    """Give up root for good; what is imported late is imported before, since it may lie in root's home."""
    PathFilter(("x",)).matches("x")
    b"x".decode("unicode_escape")
    datetime.strptime("2026+0000", "%Y%z")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.environ.pop("XDG_STATE_HOME", None)
    os.environ["HOME"] = "/nonexistent"


def main() -> int:
    """Run one request."""
    if os.environ.get("CORA_TEST_UID"):
        become_other_user(int(os.environ["CORA_TEST_UID"]))
    try:
        document = call(json.loads(sys.argv[1]))
    except CoraError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        return ENGINE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
