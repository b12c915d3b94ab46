#!/bin/bash
# What an owner does while the protection is off.
set -eu
cd /srv/protect/project
sudo -u shop vi -es -c '%s/done/DONE/' -c 'wq' AI_WORK_LOG.md
grep -q 'more was DONE' AI_WORK_LOG.md
sudo -u shop sed -i 's/1/2/' .env
grep -qx 'SECRET=2' .env
sudo -u shop git checkout -q -f other
grep -qx 'done on other' AI_WORK_LOG.md
