# shellcheck shell=bash disable=SC2154,SC2016
# tills: "The tills' side" of INSTALL.md: an address of the store, a token, TLS.

in_box ip address add 192.168.10.1/24 dev lo
in_box sh -c 'mkdir -p /etc/systemd/system/redeemd.socket.d
    cp /usr/share/doc/redeemd/examples/listen.conf /etc/systemd/system/redeemd.socket.d/
    cat >/etc/redeemd/conf.d/tills.toml <<END
[intake]
listen = "192.168.10.1:7733"
[[intake.till]]
name = "till-1"
token_file = "/etc/redeemd/till-1.token"
[intake.tls]
cert_file = "/etc/redeemd/tls/cert.pem"
key_file = "/etc/redeemd/tls/key.pem"
END
    (umask 027; head -c 24 /dev/urandom | base64 >/etc/redeemd/till-1.token; chgrp redeemd /etc/redeemd/till-1.token)
    install -d -m 0750 -g redeemd /etc/redeemd/tls'

# A certificate of its own for the name $1, put in place as the guide says.
certificate() {
    in_box sh -c "cd /root && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=$1 \
        -addext subjectAltName=DNS:$1,IP:192.168.10.1 -keyout key.pem -out cert.pem 2>/dev/null &&
        install -m 0640 -g redeemd cert.pem key.pem /etc/redeemd/tls/"
}
store_till() {
    in_box sh -c "curl --silent --max-time 10 --cacert /root/cert.pem --output /dev/null --write-out '%{http_code}' \
        --header 'Authorization: Bearer '$2 --header 'content-type: application/json' https://192.168.10.1:7733/redeem \
        --data '{\"reward_code\":\"$1\",\"business_refrence\":\"m-1\",\"branch_id\":\"b-1\",\"date\":\"2026-11-20 10:00:00\",\"timestamp\":\"1\"}'"
}

certificate first.example
ok 'it starts on the address of the drop-in' in_box sh -c 'systemctl daemon-reload
    systemctl stop redeemd.service; systemctl restart redeemd.socket && systemctl start redeemd.service'
ok 'a till with its token is served over TLS' is "$(store_till tls-1 '$(cat /etc/redeemd/till-1.token)')" 200
ok 'a till without it is not' is "$(store_till tls-2 nonsense)" 401
certificate second.example
ok 'a renewed certificate takes a reload' in_box systemctl reload redeemd
ok 'and is served' within 5 sh -c "nsenter --target $box_pid --all -- sh -c 'openssl s_client -connect 192.168.10.1:7733 </dev/null 2>/dev/null' | grep -q second.example"
ok 'the till is served under it' is "$(store_till tls-3 '$(cat /etc/redeemd/till-1.token)')" 200
ok 'the firewall rules of the guide are accepted' sh -c "awk '/^table inet/ { on = 1 } /^\`\`\`/ { on = 0 } on' INSTALL.md | nsenter --target $box_pid --net nft --check --file -"
in_box sh -c 'rm -r /etc/systemd/system/redeemd.socket.d /etc/redeemd/conf.d/tills.toml; systemctl daemon-reload
    systemctl stop redeemd.service; systemctl restart redeemd.socket; systemctl start redeemd.service'
ok 'without the drop-in it is as before' is "$(till no-tls-1)" '200 confirmed'
