#!/bin/sh
# A project as services meet them: of another user, with Git, set-id bits, files that only their owner reads, and a
# database in WAL mode that a program has open. What an earlier run left is removed.
set -eu
top=/srv/timers
systemctl stop 'cora-*.timer' 'cora-*.service' cora-test-writer 2> /dev/null || :
if [ -e "$top" ]; then
    chattr -R -ia "$top"
    rm -rf "$top"
fi
rm -rf /etc/cora /var/log/cora-told-* /var/log/cora-backup.log
/molecule/shared/files/packages.sh give
id shop > /dev/null 2>&1 || useradd --create-home shop

mkdir -p "$top/pro ject/shared"
chown -R shop: "$top/pro ject"
cd "$top/pro ject"
sudo -u shop sh -c '
set -eu
git init -q
echo "done so far" > WORK_LOG.md
echo secret > .env && chmod 0600 .env
echo "#!/bin/sh" > helper && chmod 6755 helper
chmod 2770 shared && echo one > shared/file
git add . && git -c user.name=t -c user.email=t@example.org commit -qm first
sqlite3 shop.db "PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER); INSERT INTO orders VALUES (1)" > /dev/null'
systemd-run --quiet --unit=cora-test-writer --uid=shop --collect \
    sh -c "{ echo 'INSERT INTO orders VALUES (2);'; sleep 600; } | sqlite3 '$top/pro ject/shop.db'"
mkdir -p /etc/systemd/system/cora-save.timer.d
printf '[Timer]\nRandomizedDelaySec=0\nAccuracySec=1s\n' > /etc/systemd/system/cora-save.timer.d/test.conf
