# shellcheck shell=bash disable=SC2154,SC2016
# operators: the group decides who may use the commands.

in_box sh -c 'useradd --groups redeemd manager && useradd guest'
ok 'a member of the group may use the commands' quietly in_box setpriv --reuid=manager --regid=manager --init-groups redeemd status --json
ok 'nobody else may' no in_box setpriv --reuid=guest --regid=guest --init-groups redeemd status
ok 'the console answers on loopback' is "$(in_box curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:7734/readyz)" 200
ok 'who acts is recorded by name' in_box setpriv --reuid=manager --regid=manager --init-groups redeemd hold retm
by() { in_box journalctl --unit=redeemd --since=-1min --output=json | jq -r 'select(.REDEEMD_BY != null) | .REDEEMD_BY' | sort -u | xargs; }
is_by() { [ "$(by)" = "$1" ]; }
ok 'and is not nobody' within 5 is_by manager
ok 'the lane goes on' in_box redeemd release retm
