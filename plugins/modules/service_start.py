#!/usr/bin/python
# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_start
short_description: Start what runs on a project, on a machine where it has never run
version_added: 1.0.0
description:
  - Starts the services that do not run. A unit of systemd is enabled, too. A process that pm2 does not know is started
    from the project's C(ecosystem.config.js), and C(pm2 save) remembers it.
  - Then the health command has to end with 0.
author:
  - cora.backup contributors (!UNKNOWN)
extends_documentation_fragment:
  - cora.backup.attributes
  - cora.backup.services
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - Commands have no state to ask for, so those of kind V(command) always run.
options:
  project:
    description: The project.
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Start the shop
  cora.backup.service_start:
    project: /srv/shop
    services:
      - kind: pm2
        name: shop
        user: deploy
    health_command: [curl, --fail, --silent, http://127.0.0.1:8080/health]
"""

RETURN = r"""
services:
  description: What was done, a sentence for each.
  returned: success
  type: list
  elements: str
summary:
  description: The result in a person's words, a line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.cora.backup.plugins.module_utils import argspec, argspec_restore
from ansible_collections.cora.backup.plugins.module_utils.errors import CoraError
from ansible_collections.cora.backup.plugins.module_utils.first_start import start_services


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={"project": {"type": "path", "required": True}, **argspec_restore.SERVICES_SPEC},
        supports_check_mode=True,
    )
    argspec.stop_on_signals()
    params = module.params
    try:
        result = start_services(
            params["project"],
            argspec_restore.services_of(params),
            health_command=tuple(params["health_command"]),
            health_timeout_seconds=params["health_timeout_seconds"],
            check=module.check_mode,
        )
    except CoraError as error:
        module.fail_json(**argspec.failure(error))
    health = ["The health command says that all is well."] if params["health_command"] else []
    argspec.finish(module, result, result["services"] + health)


if __name__ == "__main__":
    main()
