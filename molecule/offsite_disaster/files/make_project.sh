#!/bin/bash
# make_project.sh PORT GIT_PORT: a project of the user deploy: pm2 runs it, its remote has only a part of its history.
set -eu
top=/srv/offsite_disaster
project=$top/project
id deploy > /dev/null 2>&1 || useradd --create-home --shell /bin/bash deploy
sudo -i -u deploy pm2 --silent kill || :
if [ -e $top ]; then
    chattr -R -f -ia $top || :
    rm -rf $top
fi
systemctl stop 'cora-*.timer' 'cora-*.service' git-daemon-test 2> /dev/null || :
rm -rf /etc/cora /root/.config/rclone /usr/local/share/ca-certificates/cora-test.crt
/molecule/shared/files/packages.sh give
mkdir -p $project
as() { sudo -u deploy env -C $project HOME=/home/deploy "$@"; }
git init -q --bare -b main $top/git/shop.git
chown -R deploy: $top/project $top/git
as git init -q -b main
as git config user.name Ann
as git config user.email ann@example.org
as git remote add origin $top/git/shop.git

cp /molecule/offsite_disaster/files/app.js $project
cat > $project/ecosystem.config.js <<END
module.exports = { apps: [{ name: 'shop', script: 'app.js', env: { PORT: '$1' } }] };
END
sqlite3 $project/shop.db 'PRAGMA journal_mode = wal; CREATE TABLE orders (id INTEGER, what TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO orders SELECT i, hex(randomblob(40)) FROM n' > /dev/null
printf 'shop.db*\n' > $project/.gitignore
echo 'KEY=of the shop' > $project/.env
chmod 600 $project/.env
head -c 120000000 /dev/urandom > $project/film.bin
mkdir $project/empty "$project/sub dir"
echo odd > "$project/sub dir/$(printf 'n\303\244me \001 100%%')"
ln -s ../app.js "$project/sub dir/link"
ln $project/app.js $project/second-name.js
setfattr -n user.kind -v shop $project/app.js
setfacl -m u:1234:r $project/.gitignore
chown -R deploy: $project
as git add app.js .gitignore ecosystem.config.js
as git commit -qm 'pushed'
as git push -q origin main
echo '// better' >> $project/app.js
as git commit -qam 'not pushed'
as git tag v1
echo '// an idea' >> $project/app.js
as git stash -q
echo '// in the middle of it' >> $project/app.js

systemd-run --quiet --unit git-daemon-test --collect --uid deploy \
    git daemon --reuseaddr --listen=127.0.0.1 --port="$2" --export-all --base-path=$top/git
sudo -i -u deploy env -C $project pm2 --silent start ecosystem.config.js
