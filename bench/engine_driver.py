# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine alone, without the command and without Ansible: engine_driver.py VERB PROJECT VAULT [FILE [COUNT]]."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "playbooks", "collections"))


def main(verb: str, project: str, vault: str, *files: str) -> None:
    if verb == "backup":
        from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
        from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings

        create_backup(BackupSettings(project=project, vault=vault))
    elif verb == "backups":
        from ansible_collections.cora.backup.plugins.module_utils.backup import create_backup
        from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings

        for number in range(int(files[1])):
            with open(os.path.join(project, files[0]), "a", encoding="ascii") as stream:
                stream.write(f"backup {number}\n")
            create_backup(BackupSettings(project=project, vault=vault))
    elif verb == "save":
        from ansible_collections.cora.backup.plugins.module_utils.checkpoint import save
        from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings

        save(BackupSettings(project=project, vault=vault))
    elif verb == "verify":
        from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup

        if not verify_backup(vault, "latest")["ok"]:
            sys.exit("The backup is damaged.")
    elif verb == "cat":
        from ansible_collections.cora.backup.plugins.module_utils.catalog import resolve_id
        from ansible_collections.cora.backup.plugins.module_utils.saved_file import read_saved_file
        from ansible_collections.cora.backup.plugins.module_utils.vault import Vault

        for piece in read_saved_file(Vault(vault), resolve_id(vault, "latest", None), files[0]):
            sys.stdout.buffer.write(piece)
    elif verb == "list":
        from ansible_collections.cora.backup.plugins.module_utils.catalog import list_backups

        list_backups(vault)
    elif verb == "prune":
        from ansible_collections.cora.backup.plugins.module_utils.keep_rules import Policy, PruneRequest
        from ansible_collections.cora.backup.plugins.module_utils.prune import prune

        prune(PruneRequest(vault=vault, policy=Policy(keep_last=1, keep_within_days=0)))
    else:
        from ansible_collections.cora.backup.plugins.module_utils.catalog import resolve_id
        from ansible_collections.cora.backup.plugins.module_utils.restore import run_restore
        from ansible_collections.cora.backup.plugins.module_utils.settings import RestoreRequest

        newest = resolve_id(vault, "latest", None)
        run_restore(RestoreRequest(vault=vault, id_text=newest, project=project, scenario="full"))


if __name__ == "__main__":
    main(*sys.argv[1:])
