#!/bin/bash
# serves.sh PORT NUMBER: pm2 runs one healthy process, as deploy, inside the project, and it serves version NUMBER.
set -eu
for _ in $(seq 50); do
    answer=$(curl --silent --fail "http://127.0.0.1:$1/" || :)
    [ "$answer" = "version $2" ] && break
    sleep 0.1
done
[ "$answer" = "version $2" ] || { echo "it serves: $answer"; exit 1; }
curl --silent --fail --output /dev/null "http://127.0.0.1:$1/health"
pid=$(sudo -i -u deploy pm2 pid shop | tail -n 1)
[ "$(ps -o user= -p "$pid")" = deploy ]
