#compdef redeemd

autoload -U is-at-least

_redeemd() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_redeemd_commands" \
"*::: :->redeemd" \
&& ret=0
    case $state in
    (redeemd)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:redeemd-command-$line[1]:"
        case $line[1] in
            (run)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--strict[Take warnings for faults too, and exit with 1]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--watch[Show it again every two seconds, until interrupted]' \
'(--watch)--ages[How old what is pending is, by lane]' \
'(--watch --ages)--check[Say only what needs a person, and exit with 1 if something does]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(list)
_arguments "${_arguments_options[@]}" : \
'--state=[Only this state]:STATE:(pending confirmed declined parked voided)' \
'--lane=[Only this lane]:LANE:_redeemd_names lanes' \
'--after=[Only after this sequence number]:SEQ:_default' \
'--limit=[At most so many, 1 to 1000 \[default\: 100\]]:N:_default' \
'(--state --lane --after --limit --all --code-ending --till --business --branch --since --until --newest)--code=[Only this code, whole\: \`-\` reads it from standard input, so that no process list shows it]:-:(-)' \
'--code-ending=[Only codes that end so]:END:_default' \
'--till=[Only this till]:TILL:_redeemd_names tills' \
'--business=[Only this business]:REFERENCE:_default' \
'--branch=[Only this branch]:ID:_default' \
'--since=[Only what was accepted from this time on\: 2026-11-01 or 2026-11-01T10\:00\:00Z, in UTC]:TIME:_default' \
'--until=[Only what was accepted up to this time\: a day counts to its end]:TIME:_default' \
'(--json)*--columns=[These columns, in this order]:NAMES:((id\:"The redemption'\''s id"
seq\:"Its place in the order of acceptance"
state\:"Where it stands"
lane\:"The provider'\''s name"
till\:"The till"
business\:"The merchant"
branch\:"The branch"
code\:"The code'\''s end"
date\:"The till'\''s own time"
accepted\:"When it was accepted"
settled\:"When it was settled"
tries\:"How often it was sent"
marks\:"What is special about it"
said\:"What the provider said"
note\:"What was noted"))' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'(--limit)--all[All of them, page after page]' \
'--newest[The newest first]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(show)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
':id -- The redemption:_default' \
&& ret=0
;;
(retry)
_arguments "${_arguments_options[@]}" : \
'--lane=[The lane of the declines to take back]:LANE:_redeemd_names lanes' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'()--held[Take back the equal declines for which the lane is held]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'*::ids -- The redemptions; `-` reads them from standard input, an id or an object of `list --json` a line:_default' \
&& ret=0
;;
(void)
_arguments "${_arguments_options[@]}" : \
'--note=[Why, in a few words; kept with the redemption]:TEXT:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'*::ids -- The redemptions; `-` reads them from standard input, an id or an object of `list --json` a line:_default' \
&& ret=0
;;
(handled)
_arguments "${_arguments_options[@]}" : \
'--note=[What was done, in a few words; kept with the redemption]:TEXT:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--free[Its code may be used again]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'*::ids -- The redemptions; `-` reads them from standard input, an id or an object of `list --json` a line:_default' \
&& ret=0
;;
(flush)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--wait[Wait until nothing is pending any more; 1 when nothing was answered for a minute]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'::lane -- The lane; all of them without one:_redeemd_names lanes' \
&& ret=0
;;
(hold)
_arguments "${_arguments_options[@]}" : \
'--note=[Why, in a few words; kept with the hold]:TEXT:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--trust[Tills are trusted meanwhile, under the offline limits]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'::lane -- The lane; all of them without one:_redeemd_names lanes' \
&& ret=0
;;
(release)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'::lane -- The lane; all of them without one:_redeemd_names lanes' \
&& ret=0
;;
(trust)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
":: :_redeemd__subcmd__trust_commands" \
"*::: :->trust" \
&& ret=0

    case $state in
    (trust)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:redeemd-trust-command-$line[1]:"
        case $line[1] in
            (off)
_arguments "${_arguments_options[@]}" : \
'--note=[Why, in a few words; kept with it and shown first]:TEXT:_default' \
'--for=[For so long, such as 30m or 2h; without it until it is on again]:SPAN:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'::lane -- The lane; all of them without one:_redeemd_names lanes' \
&& ret=0
;;
(on)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'::lane -- The lane; all of them without one:_redeemd_names lanes' \
&& ret=0
;;
        esac
    ;;
esac
;;
(report)
_arguments "${_arguments_options[@]}" : \
'--lane=[Only this lane]:LANE:_redeemd_names lanes' \
'--from=[Only from this day on, by when the gateway accepted\: the store'\''s own days]:YYYY-MM-DD:_default' \
'--to=[Only up to this day, by when the gateway accepted\: the store'\''s own days]:YYYY-MM-DD:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'(--json)--csv[Print comma-separated values]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(backup)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file to write; it must not exist:_files' \
&& ret=0
;;
(export)
_arguments "${_arguments_options[@]}" : \
'--state-dir=[Read this state directory, whose daemon does not run]:DIR:_files' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file to write; it must not exist. `-` writes to standard output:_files' \
&& ret=0
;;
(import)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file that `export` wrote:_files' \
&& ret=0
;;
(hash-password)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(make-certificate)
_arguments "${_arguments_options[@]}" : \
'--cert-file=[The certificate'\''s file, new]:FILE:_files' \
'--key-file=[The key'\''s file, new]:FILE:_files' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
'*::names -- A name or address that browsers or tills call the gateway by:_default' \
&& ret=0
;;
(names)
_arguments "${_arguments_options[@]}" : \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':of -- Of what:((lanes\:"The lanes"
tills\:"The tills of the settings"))' \
&& ret=0
;;
(sandbox)
_arguments "${_arguments_options[@]}" : \
'--listen=[Where gateways or tills connect; port 0 picks one and prints it]:ADDRESS:_default' \
'--control=[A listener of its own for the control API, so that the line can be cut]:ADDRESS:_default' \
'--redeem-path=[The path of Redeem]:PATH:_default' \
'--check-path=[The path of Check Reward]:PATH:_default' \
'--token-path=[The path of the OAuth token endpoint]:PATH:_default' \
'--webhook-path=[The path where error webhooks are received]:PATH:_default' \
'*--rule=[A fault\: field=value,field=value or a JSON object; the first that fires decides]:RULE:_default' \
'--rules-file=[Rules from a JSON file, after those of --rule; - is standard input]:FILE:_files' \
'--seed=[Makes the rules'\'' shares hit the same requests again; default\: random, and printed]:NUMBER:_default' \
'--delay=[Waits before every answer]:DURATION:_default' \
'*--reusable=[Codes that are never used up, a pattern with *]:PATTERN:_default' \
'--check-data=[What a check tells of a good code\: a JSON object whose members win over the sandbox'\''s own]:JSON:_default' \
'(--token)--token-file=[The file of the bearer token that requests must carry; without any token all are served]:FILE:_files' \
'--token=[The bearer token itself, for tests\: other users of this machine can see it]:TOKEN:_default' \
'--oauth=[The OAuth client that gets tokens, for tests\: other users of this machine can see it]:ID:SECRET:_default' \
'--oauth-expires=[How long an access token is good]:DURATION:_default' \
'--oauth-refresh=[The refresh token that is good at start; each is good once]:TOKEN:_default' \
'--oauth-code=[The authorization code that is good once]:CODE:_default' \
'--tls=[Serves TLS with such a certificate]:CERTIFICATE:((good\:"Valid, for this host, by the authority of --ca-out"
expired\:"It ended in 2001"
not-yet-valid\:"It begins in 3000"
self-signed\:"By nobody but itself"
wrong-host\:"Valid, but for wrong-host.invalid"))' \
'*--tls-name=[A further host name in the certificate, beside localhost and the address]:NAME:_default' \
'--ca-out=[Where the authority'\''s certificate is written, for a client'\''s \`ca_file\`]:FILE:_files' \
'--records=[How many requests are kept for GET /sandbox/requests]:NUMBER:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--honour-keys[Answers a repeated Idempotency-Key with its first answer (the contract has no such key)]' \
'--strict[Refuses an order with a field that the contract does not have]' \
'(--http2)--http1[HTTP/1.1 alone]' \
'--http2[HTTP/2 alone (without --tls\: with prior knowledge)]' \
'(--records)--no-record[Keeps no requests]' \
'--quiet[Prints nothing after the addresses]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(rehearse)
_arguments "${_arguments_options[@]}" : \
'--count=[How many redemptions come while the line is cut]:NUMBER:_default' \
'--config=[The settings file \[default\: /etc/redeemd/redeemd.toml\]]:FILE:_files' \
'--keep[Keeps the rehearsal'\''s folder; one that failed is kept anyway]' \
'--json[Print data as JSON, one object a line]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
        esac
    ;;
esac
}

(( $+functions[_redeemd_commands] )) ||
_redeemd_commands() {
    local commands; commands=(
'run:Run the gateway in the foreground' \
'check:Check the settings and print every problem' \
'status:Show the books, the storage and every lane' \
'list:List redemptions' \
'show:Show one redemption with everything that was done to it' \
'retry:Send declined or parked redemptions again' \
'void:Close pending or parked redemptions for good' \
'handled:Note that a person has seen to redemptions that were refused, parked or lost' \
'flush:Try a lane (or all) at once instead of waiting' \
'hold:Hold a lane (or all)\: nothing is sent until it is released' \
'release:Let a held lane (or all) go on' \
'trust:Switch off and on that rewards are given without the provider'\''s answer' \
'report:What became of the rewards given on trust, the exceptions, the rates of declines and the refusals' \
'backup:Copy the database of the running gateway, whole codes included, to a file' \
'export:Write the pending and parked redemptions of this gateway, whole codes included, to a file' \
'import:Take over the redemptions that another gateway exported' \
'hash-password:Make the hash of a password that standard input gives, for \`\[\[admin.user\]\]\`' \
'make-certificate:Make a key and a certificate of the gateway'\''s own, and print its fingerprint as a browser shows it' \
'names:Print the names of the running gateway'\''s lanes or tills\: for the shells'\'' completions' \
'sandbox:Be a provider to test against\: the contract, and every fault on demand' \
'rehearse:Play an outage against a sandbox provider with these settings; ends with the books' \
    )
    _describe -t commands 'redeemd commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__backup_commands] )) ||
_redeemd__subcmd__backup_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd backup commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__check_commands] )) ||
_redeemd__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd check commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__export_commands] )) ||
_redeemd__subcmd__export_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd export commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__flush_commands] )) ||
_redeemd__subcmd__flush_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd flush commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__handled_commands] )) ||
_redeemd__subcmd__handled_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd handled commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__hash-password_commands] )) ||
_redeemd__subcmd__hash-password_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd hash-password commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__hold_commands] )) ||
_redeemd__subcmd__hold_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd hold commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__import_commands] )) ||
_redeemd__subcmd__import_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd import commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__list_commands] )) ||
_redeemd__subcmd__list_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd list commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__make-certificate_commands] )) ||
_redeemd__subcmd__make-certificate_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd make-certificate commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__names_commands] )) ||
_redeemd__subcmd__names_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd names commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__rehearse_commands] )) ||
_redeemd__subcmd__rehearse_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd rehearse commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__release_commands] )) ||
_redeemd__subcmd__release_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd release commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__report_commands] )) ||
_redeemd__subcmd__report_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd report commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__retry_commands] )) ||
_redeemd__subcmd__retry_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd retry commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__run_commands] )) ||
_redeemd__subcmd__run_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd run commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__sandbox_commands] )) ||
_redeemd__subcmd__sandbox_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd sandbox commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__show_commands] )) ||
_redeemd__subcmd__show_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd show commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__status_commands] )) ||
_redeemd__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd status commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__trust_commands] )) ||
_redeemd__subcmd__trust_commands() {
    local commands; commands=(
'off:Give nothing without the provider'\''s answer' \
'on:Give on trust again' \
    )
    _describe -t commands 'redeemd trust commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__trust__subcmd__off_commands] )) ||
_redeemd__subcmd__trust__subcmd__off_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd trust off commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__trust__subcmd__on_commands] )) ||
_redeemd__subcmd__trust__subcmd__on_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd trust on commands' commands "$@"
}
(( $+functions[_redeemd__subcmd__void_commands] )) ||
_redeemd__subcmd__void_commands() {
    local commands; commands=()
    _describe -t commands 'redeemd void commands' commands "$@"
}

# The running gateway knows the names of lanes and tills; one that does not answer at once has none.
_redeemd_names() {
    local -a names
    names=("${(@f)$(redeemd names "$1" 2>/dev/null)}")
    compadd -a names
}

if [ "$funcstack[1]" = "_redeemd" ]; then
    _redeemd "$@"
else
    compdef _redeemd redeemd
fi
