#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_undo
short_description: Take the last restore back
version_added: 1.0.0
description:
  - Puts back what M(cora.backup.restore) saved before it changed anything. What the restore had brought is saved in
    turn.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.vault
  - cora.backup.vault.project
  - cora.backup.vault.run
  - cora.backup.services
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - The second run takes back the restore before, and fails when there is none.
options:
  project:
    description:
      - Take back the last restore of this project.
      - Left out, and where O(search_from) is left out too, the last restore of the vault.
    type: path
seealso:
  - module: cora.backup.restore
"""

EXAMPLES = r"""
- name: Take the last restore back
  cora.backup.restore_undo:
    project: /srv/app
"""

RETURN = r"""
restore_id:
  description: Name of this change.
  returned: success, not in check mode
  type: str
undone_id:
  description: The restore that was taken back.
  returned: success
  type: str
project:
  description: The directory that was changed.
  returned: success
  type: str
scenario:
  description: What that restore had been; V(undo) where it was an undo itself.
  returned: success
  type: str
kind:
  description: V(in_place) where it had changed files, V(swap) where it had exchanged the whole tree.
  returned: success
  type: str
old_tree:
  description: Where it had kept the tree before it; null for files, and where there had been none.
  returned: success
  type: str
restored_at:
  description: When it was made, UTC.
  returned: success
  type: str
counts:
  description: How many files were created, replaced and removed.
  returned: success
  type: dict
saved_at:
  description: Where the state before this change is.
  returned: success, not in check mode
  type: str
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_restore
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.summary import undo_summary
from ansible_collections.cora.backup.plugins.module_utils.undo import undo_last


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            **argspec.PROJECT_SPEC,
            **argspec.VAULT_SPEC,
            **argspec_restore.SERVICES_SPEC,
            **argspec.RUN_SPEC,
        },
        supports_check_mode=True,
    )
    argspec.stop_on_signals()
    params = module.params
    try:
        result = undo_last(
            argspec.vault_of(params),
            project=argspec_restore.project_undone(params),
            check=module.check_mode,
            services=argspec_restore.services_of(params),
            health_command=tuple(params["health_command"]),
            health_timeout_seconds=params["health_timeout_seconds"],
            lock_wait_seconds=params["lock_wait_seconds"],
        )
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    argspec.finish(module, result, undo_summary(result, check=module.check_mode))


if __name__ == "__main__":
    main()
