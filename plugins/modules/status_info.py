#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: status_info
short_description: Say how things stand with the backups of a host
version_added: 1.0.0
description:
  - Gathers the newest backup and checkpoint and their age, the timers and their last results, free space and how long
    it lasts, critical files and their growth, large files, backups that are not sealed, not verified or damaged.
  - Names what is wrong. A problem does not fail the module; RV(ok) says whether there is one.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.attributes.info_module
  - cora.backup.vault
options:
  project:
    description: Only this project. Left out, all that the vault holds.
    type: path
  backup_hours:
    description: It is a problem when the newest backup is older. Left out, 26.
    type: float
  checkpoint_minutes:
    description: It is a problem when the timer that makes checkpoints last ran so long ago. Left out, 60.
    type: float
  verified_days:
    description: It is a problem when the last full check of a backup is older. Left out, 8.
    type: float
  free_days:
    description: It is a problem when the disk of the vault, at its present growth, is full sooner. Left out, 7.
    type: float
  free_bytes:
    description: It is a problem when less is free there. Left out, 1 GiB.
    type: int
  protect:
    description: It is a problem when a critical file is not append-only, as M(cora.backup.protect) makes it.
    type: bool
    default: false
seealso:
  - module: cora.backup.backup_info
  - module: cora.backup.protect
"""

EXAMPLES = r"""
- name: Fail when something is wrong with the backups
  cora.backup.status_info:
  register: status
  failed_when: status is failed or not status.ok
"""

RETURN = r"""
vault:
  description: The vault.
  returned: success
  type: str
project:
  description: The project.
  returned: success
  type: str
ok:
  description: Whether there is no problem.
  returned: success
  type: bool
problems:
  description: What is wrong.
  returned: success
  type: list
  elements: dict
  contains:
    level:
      description: V(critical) or V(warning).
      type: str
    text:
      description: A sentence.
      type: str
backups:
  description: How many backups there are.
  returned: success
  type: int
checkpoints:
  description: How many checkpoints there are.
  returned: success
  type: int
newest_backup:
  description: As a row of M(cora.backup.backup_info), and C(age_seconds); null where there is none.
  returned: success
  type: dict
newest_checkpoint:
  description: The same of the newest checkpoint.
  returned: success
  type: dict
timers:
  description: The timers of this collection on the host, when they ran, how that went, when they run next.
  returned: success
  type: list
  elements: dict
disk:
  description: Bytes free and in all where the vault is, growth a day, and days until it is full at that pace.
  returned: success
  type: dict
critical:
  description: Critical files and databases of the newest backup, their size then and now, append-only or not.
  returned: success
  type: list
  elements: dict
critical_gone:
  description: Critical files that the project has no more, and the last backup that holds each.
  returned: success
  type: list
  elements: dict
large_files:
  description: Files over the limit in the newest backup.
  returned: success
  type: list
  elements: dict
unsealed:
  description: Backups that are not immutable.
  returned: success
  type: list
  elements: str
unverified:
  description: Backups that were never checked.
  returned: success
  type: list
  elements: str
damaged:
  description: Backups that are known to be damaged.
  returned: success
  type: list
  elements: str
offsite:
  description:
    - The copies elsewhere, by what was noted here; null where none was ever set up.
    - C(remote), C(copied) (how many backups of the vault are there), C(missing) (ids of those that are not), C(newest),
      C(newest_at), C(last_run) (C(at), C(ok), C(message)), and what M(cora.backup.spaces_setup) found -
      C(versioning), C(object_lock), C(public), C(checked_at).
  returned: success
  type: dict
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_status
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.status import status
from ansible_collections.cora.backup.plugins.module_utils.status_summary import status_summary


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=argspec_status.status_spec(), supports_check_mode=True)
    project = module.params["project"]
    try:
        result = status(
            argspec.vault_of(module.params),
            project=project.rstrip("/") if project else None,
            limits=argspec_status.status_limits(module.params),
            protect=module.params["protect"],
        )
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    argspec.finish(module, result, status_summary(result))


if __name__ == "__main__":
    main()
