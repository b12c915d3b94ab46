#!/bin/sh
# The health command of the project: its service runs and its database answers.
systemctl is-active --quiet cora-writer && sqlite3 /srv/project/data/busy.db 'SELECT count(*) FROM t' > /dev/null
