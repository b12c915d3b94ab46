#!/bin/bash
# Makes a tiny project at /srv/prune, and room for its vault.
set -eu
if [ -d /srv/prune/vault ]; then chattr -R -f -ia /srv/prune/vault || :; fi
rm -rf /srv/prune
mkdir -p /srv/prune/project/src
cd /srv/prune/project
echo 'what was done' > AI_WORK_LOG.md
seq 1 20000 > src/data.txt
sqlite3 app.db 'CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)'
