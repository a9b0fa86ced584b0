# shellcheck shell=bash disable=SC2154,SC2016
# watchdog: a process that is alive but stuck. The unit's 30 s are shortened, so that the test is short.

in_box sh -c 'printf "[Service]\nWatchdogSec=4s\n" >/etc/systemd/system/redeemd.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart redeemd'
before=$(unit MainPID)
sleep 9
ok 'an idle daemon feeds the watchdog' is "$(unit MainPID)" "$before"
in_box kill -STOP "$before"
ok 'a stopped process is replaced' within 20 sh -c "! nsenter --target $box_pid --all -- kill -0 $before 2>/dev/null"
ok 'and the service is back' within 10 active
ok 'systemd says that it was the watchdog' has "$(in_box journalctl --unit=redeemd --since=-60s --output=cat)" 'Watchdog timeout'
ok 'tills are served again' is "$(till after-watchdog)" '200 confirmed'
in_box sh -c 'rm /etc/systemd/system/redeemd.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart redeemd'
