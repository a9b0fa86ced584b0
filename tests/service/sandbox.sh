# shellcheck shell=bash disable=SC2154,SC2016
# sandbox: every feature works inside it, and the journal has fields and no codes.

in_box systemctl restart redeemd
till journal-code-4711 >/dev/null
line refuse
till journal-code-4712 >/dev/null
line up
within 20 is_status .counts.pending 0
journal=$(in_box journalctl --unit=redeemd --output=json --since=-10min)
ok 'no system call was refused by killing it' hasnt "$(in_box journalctl --unit=redeemd --output=cat)" 'status=31/SYS'
ok 'network events are heard' hasnt "$(jq -r .MESSAGE <<<"$journal" | sort -u)" 'network events cannot be had'
ok 'the journal has the lane as a field' is "$(jq -r 'select(.REDEEMD_LANE != null) | .REDEEMD_LANE' <<<"$journal" | sort -u)" retm
ok 'and the cause' has "$(jq -r '.REDEEMD_CAUSE // empty' <<<"$journal" | sort -u)" connect
ok 'and the redemption and its state' has "$(jq -r '.REDEEMD_STATE // empty' <<<"$journal" | sort -u | xargs)" confirmed
ok 'levels are priorities' is "$(jq -r 'select(.REDEEMD_LANE != null) | .PRIORITY' <<<"$journal" | sort -u | xargs)" '4 6'
ok 'no whole code is in the journal' hasnt "$journal" journal-code-471
ok 'the clock of the kernel can be asked' is "$(status .clock_trusted)" \
    "$(in_box perl -e '$t = pack("L", 0) . "\0" x 508; $s = syscall(159, $t); $u = unpack("l", substr($t, 40, 4)); print(($s >= 0 && $s != 5 && !($u & 0x40) && time > 1793491200) ? "true" : "false")')"
in_box sh -c 'mkdir -p /run/systemd/timesync && touch /run/systemd/timesync/synchronized'
ok 'and timesyncd is believed' within 5 is_status .clock_trusted true
# A journal that takes nothing, as on a full or broken disk: the log is dropped, and nobody waits for it.
beside_a_stopped_journal() {
    local journald n served=0
    journald=$(unit MainPID systemd-journald.service)
    in_box kill -STOP "$journald"
    for n in $(seq 60); do
        case $(answer "silent-journal-$n") in '200 confirmed 0') served=$((served + 1)) ;; esac
    done
    in_box kill -CONT "$journald"
    is "$served" 60
}
ok 'with a journal that takes nothing tills are served' beside_a_stopped_journal
pid=$(unit MainPID)
ok 'it has no capabilities' is "$(awk '/^Cap(Eff|Prm|Bnd|Amb)/ { print $2 }' "/proc/$(in_box_pid "$pid")/status" | sort -u)" 0000000000000000
ok 'its files are its own alone' is "$(in_box stat --format=%a:%U /var/lib/redeemd /var/lib/redeemd/redeemd.db | xargs)" '700:redeemd 600:redeemd'
