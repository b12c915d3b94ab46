#!/bin/sh
# A project of a person called shop, with an AGENTS.md of its own; what an earlier run left is removed.
set -eu
top=/srv/install_uninstall
systemctl stop 'cora-*.timer' 'cora-*.service' 2> /dev/null || :
if [ -e "$top" ]; then
    chattr -R -ia "$top"
    rm -rf "$top"
fi
rm -rf /opt/cora /etc/cora /usr/local/bin/cora /etc/systemd/system/cora-*.timer /etc/systemd/system/cora-*.service \
    /etc/systemd/system/timers.target.wants/cora-* /etc/bash_completion.d/cora /etc/logrotate.d/cora-backup \
    /var/log/cora-backup.log* /var/lib/cora
systemctl daemon-reload
id shop > /dev/null 2>&1 || useradd --create-home shop

mkdir -p "$top/project"
cd "$top/project"
git init -q
printf '# For agents\n\nBe kind.\n' > AGENTS.md
cp AGENTS.md "$top/AGENTS.before"
echo 'done so far' > WORK_LOG.md
sqlite3 shop.db 'PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1)' > /dev/null
chown -R shop: "$top/project"
