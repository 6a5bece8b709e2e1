# bash completion for postern: the program itself knows what may stand where,
# and asks the running server for tenants and shares.
_postern() {
    mapfile -t COMPREPLY < <(
        "${COMP_WORDS[0]}" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null
    )
}
complete -o bashdefault -o default -F _postern postern
