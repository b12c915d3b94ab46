#!/bin/bash
# The machine is gone, as far as anybody can tell: nothing of it runs, and only a copy for the judge is left.
set -eu
top=/srv/offsite_disaster
sudo -i -u deploy pm2 --silent kill
systemctl stop 'cora-*.timer' 'cora-*.service'
as_deploy() { sudo -u deploy git -C $top/project "$@"; }
as_deploy rev-parse HEAD v1 'stash@{0}' | cat > $top/commits
as_deploy status --porcelain | cat > $top/status
sqlite3 "file:$top/project/shop.db?mode=ro" .dump > $top/dump.sql
tar -C $top --acls --xattrs --numeric-owner -cf $top/judge.tar project commits status dump.sql
