#!/bin/bash
# Makes version 1 of a project and a service that runs on it.
set -eu
systemctl stop cora-shop 2> /dev/null || :
[ ! -d /srv/rollback ] || chattr -R -f -ia /srv/rollback || :
rm -rf /srv/rollback
mkdir -p /srv/rollback/project
cd /srv/rollback/project
git init -q .
echo 'version 1' > version.txt
sqlite3 shop.db 'CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)'
cat > run.sh <<'END'
cd "$(dirname "$0")" && cp version.txt /run/cora-shop.version && exec sleep infinity
END
cp /molecule/rollback/files/cora-shop.service /etc/systemd/system/
systemctl daemon-reload
systemctl start cora-shop
