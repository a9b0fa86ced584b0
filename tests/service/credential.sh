# shellcheck shell=bash disable=SC2154,SC2016
# credential: the token as a systemd credential, plain and encrypted.

in_box sh -c 'echo "credential = \"retm\"" >>/etc/redeemd/conf.d/provider.toml
    mkdir -p /etc/systemd/system/redeemd.service.d
    cp /usr/share/doc/redeemd/examples/credential.conf /etc/systemd/system/redeemd.service.d/
    systemctl daemon-reload'
ok 'it starts with the shipped LoadCredential drop-in' in_box systemctl restart redeemd
ok 'the credential is sent' is "$(till loaded-1)" '200 confirmed'

in_box sh -c 'systemd-creds encrypt --name=retm /etc/redeemd/retm.token /etc/redeemd/retm.cred 2>/dev/null &&
    rm /etc/redeemd/retm.token
    sed -i "s/^LoadCredential=/#&/; s/^#LoadCredentialEncrypted=/LoadCredentialEncrypted=/" /etc/systemd/system/redeemd.service.d/credential.conf
    systemctl daemon-reload'
ok 'it starts with an encrypted credential and no plain file' in_box systemctl restart redeemd
ok 'the encrypted credential is sent' is "$(till encrypted-1)" '200 confirmed'
ok 'the check notes that it cannot see it, and warns of nothing' in_box redeemd check --strict
ok 'no other user can read the credential' no in_box setpriv --reuid=nobody --clear-groups cat /run/credentials/redeemd.service/retm
