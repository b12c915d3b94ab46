#!/bin/bash
# Makes /srv/protect/project: a repository of somebody who is not root, with a work log that differs between two branches.
set -eu
if [ -d /srv/protect ]; then chattr -R -f -ia /srv/protect || :; fi
rm -rf /srv/protect
id shop > /dev/null 2>&1 || useradd --create-home shop
mkdir -p /srv/protect/project
chown shop: /srv/protect/project
cd /srv/protect/project
sudo -u shop bash -eu << 'END'
git init -q -b main
git config user.name test
git config user.email test@example.org
echo 'done on main' > AI_WORK_LOG.md
echo '.env' > .gitignore
git add . && git commit -qm main
git checkout -q -b other
echo 'done on other' > AI_WORK_LOG.md
git commit -qam other
git checkout -q main
echo SECRET=1 > .env && chmod 0600 .env
sqlite3 shop.db 'CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)'
echo 'not critical' > notes.txt
END
