#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore
short_description: Bring a project, its critical files or single files back from a backup
version_added: 1.0.0
description:
  - Verifies what it needs of the backup, plans, saves the present state, stops services, swaps by rename, starts
    services and runs the health command. Any failure rolls everything back.
  - With O(scenario=plan) it only plans, and returns the plain commands with which a person can do the same.
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
    support: full
  idempotent:
    support: full
    details:
      - Files that are as in the backup are left alone.
options:
  id:
    description: V(latest), an id, or the beginning of exactly one.
    type: str
    required: true
  target:
    description:
      - Absolute path of the directory to restore to. Left out, where the backup was made of.
      - Needed when O(id) names a backup of another project than O(project).
    type: path
  scenario:
    description:
      - V(plan) changes nothing.
      - V(files) restores what O(files) names.
      - V(critical) restores databases and critical files.
      - V(full) replaces the whole project. The old tree is kept beside it, and directories that backups exclude are
        carried over.
    type: str
    default: plan
    choices:
      - plan
      - files
      - critical
      - full
  files:
    description: Paths relative to the project. A directory brings all that is in it. Goes with O(scenario=files).
    type: list
    elements: str
    default: []
  keep_setuid:
    description: Keep set-user-id and set-group-id bits of restored files.
    type: bool
    default: false
  offsite:
    description:
      - Where backups are that the vault has not got, for an O(id) that is none of its own.
      - Needed only where something differs from what the environment file and the defaults say.
      - With O(scenario=critical) or O(scenario=full) such a backup is fetched into the vault first. With
        O(scenario=files) only its index and the parts of its archive that hold these files are read.
    type: dict
    suboptions:
      env_file:
        description: Path of the file that holds the keys and the place. Left out, C(/etc/cora/backup.env).
        type: path
      prefix:
        description: What all keys begin with. Left out, V(prod).
        type: str
      addressing:
        description: V(path) for C(https://host/bucket), V(virtual) for C(https://bucket.host), V(auto) by the service.
        type: str
        choices:
          - auto
          - path
          - virtual
      bytes_per_second:
        description: At most so fast, all connections together. Left out or V(0), as fast as it goes.
        type: int
      ca_bundle:
        description: File of certificates to trust instead of those of the system.
        type: path
      encrypt_to:
        description: Public keys of C(age); not needed to restore.
        type: list
        elements: str
      identity_file:
        description: Path of the secret key of C(age), for a backup that is encrypted.
        type: path
      proxy:
        description: URL of a proxy. Left out, what the environment says.
        type: str
      storage_class:
        description: Storage class of new objects; not needed to restore.
        type: str
seealso:
  - module: cora.backup.restore_undo
  - module: cora.backup.checksum
"""

EXAMPLES = r"""
- name: Show what a full restore would do, and the plain commands for it
  cora.backup.restore:
    id: latest

- name: Bring two files back
  cora.backup.restore:
    id: latest
    scenario: files
    files:
      - AI_WORK_LOG.md
      - config/settings.json

- name: Bring the whole project back while its service stands still
  cora.backup.restore:
    id: 20261124-033000-4f6dfed
    scenario: full
    services:
      - kind: systemd
        name: app.service
    health_command: [curl, --fail, --silent, "http://127.0.0.1:8080/health"]
"""

RETURN = r"""
id:
  description: The backup that was restored from.
  returned: success
  type: str
project:
  description: The directory that was restored to.
  returned: success
  type: str
scenario:
  description: What was asked for.
  returned: success
  type: str
entries:
  description: What happens to each file, at most 1000 of them.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: One of V(create), V(replace), V(remove), V(same).
      type: str
    path:
      description: Relative to the project.
      type: str
    type:
      description: What it is in the backup, such as V(file) or V(directory).
      type: str
    size_bytes:
      description: What it measures in the backup.
      type: int
    newer_work:
      description: Whether what it replaces was changed after the backup.
      type: bool
counts:
  description: How many files are created, replaced, removed, left alone, and how many of them hold newer work.
  returned: success
  type: dict
commands:
  description: For each scenario the plain commands with which a person does the same.
  returned: success
  type: dict
bytes_fetched:
  description: How many bytes of a backup that is only offsite were fetched.
  returned: success
  type: int
restore_id:
  description: Name of this restore, for M(cora.backup.restore_undo).
  returned: when something was restored
  type: str
saved_at:
  description: Where the former state is.
  returned: when something was restored
  type: str
rolled_back:
  description: Whether everything was put back after a failure.
  returned: when something was restored
  type: bool
duration_seconds:
  description: How long it took.
  returned: when something was restored
  type: float
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_restore
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.restore import plan_restore, run_restore
from ansible_collections.cora.backup.plugins.module_utils.summary import restore_summary


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec=argspec_restore.restore_spec(),
        required_if=[("scenario", "files", ["files"])],
        supports_check_mode=True,
    )
    argspec.stop_on_signals()
    planning = module.params["scenario"] == "plan"
    try:
        request = argspec_restore.restore_request(module.params, check=module.check_mode)
        result = plan_restore(request) if planning else run_restore(request)
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    if not module._diff:
        del result["diff"]
    argspec.finish(module, result, restore_summary(result, check=module.check_mode))


if __name__ == "__main__":
    main()
