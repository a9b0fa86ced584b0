
# The running gateway knows the names of lanes and tills; one that does not answer at once has none.
_redeemd_names() {
    local kind='' name
    case "$3" in
        --lane) kind=lanes ;;
        --till) kind=tills ;;
    esac
    case "${COMP_WORDS[1]},$2,$3" in
        flush,-*,* | hold,-*,* | release,-*,* | hold,*,--note) ;;
        flush,* | hold,* | release,*) kind=lanes ;;
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
