# shellcheck shell=bash disable=SC2154,SC2016
# restart: with redemptions pending and tills at work.

before=$(unit MainPID)
ok 'no till is refused during a restart' under_traffic restart 0 in_box systemctl restart redeemd
ok 'it is another process' test "$(unit MainPID)" != "$before"
ok 'what was pending is pending' is "$(status .counts.pending)" "$((traffic + 1))"
before=$(unit MainPID)
ok 'no till is refused when the process is killed, and one at most is cut off' under_traffic kill 1 in_box sh -c "kill -KILL $before"
ok 'systemd starts it again' within 10 active
ok 'the books balance' is "$(status '.counts | .accepted == .pending + .confirmed + .declined + .parked + .voided')" true
line up
ok 'everything is delivered when the provider is back' within 30 is_status .counts.pending 0
ok 'nothing was declined or parked' is "$(status '.counts | .declined + .parked')" 0
