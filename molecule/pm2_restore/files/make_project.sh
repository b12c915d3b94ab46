#!/bin/bash
# make_project.sh PORT: a project that pm2 runs for the user deploy.
set -eu
id deploy > /dev/null 2>&1 || useradd --create-home --shell /bin/bash deploy
pm2() { sudo -i -u deploy env PORT="${port:-}" pm2 --silent "$@"; }
pm2 kill || :
[ ! -d /srv/pm2 ] || chattr -R -f -ia /srv/pm2 || :
rm -rf /srv/pm2
mkdir -p /srv/pm2/project
cd /srv/pm2/project
git init -q .
cp /molecule/pm2_restore/files/app.js .
echo 'version 1' > version.txt
chown -R deploy: /srv/pm2/project
port=$1
pm2 start /srv/pm2/project/app.js --name shop
