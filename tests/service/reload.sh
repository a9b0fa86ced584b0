# shellcheck shell=bash disable=SC2154,SC2016
# reload: good settings, faulty settings, one connection through both.

# One connection, held open by the shell, through which requests are sent around a reload.
# shellcheck disable=SC2016 # The box's shell expands.
held_connection='
    exec 3<>/dev/tcp/127.0.0.1/7733
    ask() {
        body="{\"reward_code\":\"$1\",\"business_refrence\":\"m-1\",\"branch_id\":\"b-1\",\"date\":\"2026-11-20 10:00:00\",\"timestamp\":\"1\"}"
        printf "POST /redeem HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" ${#body} "$body" >&3
        read -r -t 10 _ code _ <&3 || exit 1
        while read -r -t 10 head <&3 && [ "${head%$'"'\\r'"'}" ]; do
            case $head in [Cc]ontent-[Ll]ength:*) length=${head#*: } ;; esac
        done
        read -r -t 10 -N "${length%$'"'\\r'"'}" _ <&3
        echo "$code"
    }
    ask held-1
    systemctl reload redeemd || exit 1
    sleep 1
    ask held-2'

before=$(unit MainPID)
line refuse
till before-reload >/dev/null
in_box sh -c 'printf "[intake]\naccepted_status = 202\n" >/etc/redeemd/conf.d/50-test.toml'
ok 'a connection lives through a reload, and the new settings hold for it' is "$(in_box bash -c "$held_connection" | xargs)" '200 202'
ok 'it is the same process' is "$(unit MainPID)" "$before"

in_box sh -c 'printf "[intake]\naccepted_status = 299\nnonsense = 1\n" >/etc/redeemd/conf.d/60-wrong.toml'
ok 'systemctl reload fails with faulty settings' no in_box systemctl reload redeemd 2>/dev/null
ok 'its journal says why, with every key' has "$(in_box journalctl --unit=redeemd --since=-10s --output=cat | tr '\n' ' ')" 'nonsense'
ok 'the old settings stay in force' is "$(till after-fault)" '202 pending'
ok 'it is still the same process' is "$(unit MainPID) $(unit ActiveState)" "$before active"
in_box systemctl kill --signal=HUP --kill-who=main redeemd
ok 'a faulty reload by signal is shown in status' within 5 is_status '.reload_faults | length > 0' true
in_box rm /etc/redeemd/conf.d/50-test.toml /etc/redeemd/conf.d/60-wrong.toml
ok 'a reload with mended settings succeeds' in_box systemctl reload redeemd
line up
ok 'everything is delivered' within 30 is_status .counts.pending 0
