# shellcheck shell=bash disable=SC2154,SC2016
# operators: the group decides who may use the commands.

in_box sh -c 'useradd --groups redeemd manager && useradd guest'
ok 'a member of the group may use the commands' quietly in_box setpriv --reuid=manager --regid=manager --init-groups redeemd status --json
ok 'nobody else may' no in_box setpriv --reuid=guest --regid=guest --init-groups redeemd status
ok 'the console answers on loopback' is "$(in_box curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7734/readyz)" 200
