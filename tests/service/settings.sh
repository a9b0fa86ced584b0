# shellcheck shell=bash disable=SC2154,SC2016
# settings: wrong ones at start are not a loop, and mending them is enough.

in_box sh -c 'echo "nonsense = 1" >/etc/redeemd/conf.d/60-wrong.toml'
ok 'a start with wrong settings fails' no in_box systemctl restart redeemd 2>/dev/null
ok 'with the exit code for it' is "$(unit ExecMainStatus) $(unit Result)" '78 exit-code'
sleep 3
ok 'it is not started again' is "$(unit ActiveState) $(unit NRestarts)" 'failed 0'
till waits >/dev/null
sleep 3
starts() { in_box journalctl --unit=redeemd --output=cat | grep -c 'Starting redeemd'; }
count=$(starts)
sleep 4
ok 'nor for ever by a till that waits' is "$(starts)" "$count"
in_box rm /etc/redeemd/conf.d/60-wrong.toml
ok 'with mended settings it starts' in_box systemctl start redeemd
ok 'and tills are served' is "$(till mended)" '200 confirmed'
