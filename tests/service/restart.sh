# shellcheck shell=bash disable=SC2154,SC2016
# restart: with redemptions pending and tills at work.

before=$(unit MainPID)
ok 'no till is refused during a restart' under_traffic restart in_box systemctl restart redeemd
ok 'it is another process' no is "$(unit MainPID)" "$before" >/dev/null
ok 'what was pending is pending' is "$(status .counts.pending)" "$((traffic + 1))"
before=$(unit MainPID)
ok 'no till is refused when the process is killed' under_traffic kill in_box sh -c "kill -KILL $before"
ok 'systemd starts it again' within 10 active
ok 'the books balance' is "$(status '.counts | .accepted == .pending + .confirmed + .declined + .parked + .voided')" true
line up
ok 'everything is delivered when the provider is back' within 30 is_status .counts.pending 0
ok 'nothing was declined or parked' is "$(status '.counts | .declined + .parked')" 0
