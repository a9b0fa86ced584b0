
# The running gateway knows the names of lanes and tills; one that does not answer at once has none.
_redeemd_names() {
    local kind='' command='' value='' word name
    # What is asked for already: global options, and an option's value, are no words of the command.
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [ -n "$value" ]; then
            [ "$word" = = ] || value=''
            continue
        fi
        case "$word" in
            --config | --note | --for) value=follows ;;
            -*) ;;
            *) command+=" $word" ;;
        esac
    done
    case "$3" in
        --lane) kind=lanes ;;
        --till) kind=tills ;;
    esac
    case "$value$2" in
        follows* | -*) ;;
        *) case "$command" in
            ' flush' | ' hold' | ' release' | ' trust off' | ' trust on') kind=lanes ;;
        esac ;;
    esac
    if [ -z "$kind" ]; then
        _redeemd "$@"
        return
    fi
    COMPREPLY=()
    while IFS= read -r name; do
        [[ "$name" != "$2"* ]] || COMPREPLY+=("$(printf '%q' "$name")")
    done < <(redeemd names "$kind" 2>/dev/null)
}
complete -F _redeemd_names -o bashdefault -o default redeemd
