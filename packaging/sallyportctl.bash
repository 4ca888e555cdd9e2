# Completion for sallyportctl in bash. What can stand where, the program says
# itself (--help), so this never knows less than it.

_sallyportctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} program=${COMP_WORDS[0]} word skip= i
	local -a path=() front=()

	# The commands before the cursor; options of sallyportctl itself may stand before them.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ -n $skip ]]; then
			skip=
		elif [[ $word == --socket ]]; then
			skip=yes
		elif [[ $word != -* && $word =~ ^[a-z][a-z-]*$ && ${#path[@]} -lt 3 ]]; then
			path+=("$word")
		fi
	done
	[[ ${COMP_WORDS[COMP_CWORD - 1]} == --socket ]] && { compopt -o default 2>/dev/null; return; }

	local help words=
	# The last words may be operands: go up until there is help.
	while help=$("$program" "${path[@]}" --help 2>/dev/null </dev/null) || [[ ${#path[@]} -gt 0 ]]; do
		[[ -n $help ]] && break
		unset 'path[-1]'
	done
	if [[ $cur == -* ]]; then
		words=$({ echo --help; grep -oE -- '--[a-z][a-z-]*' <<<"$help"; } | sort -u)
	else
		# A list of commands, or commands in lines of usage.
		words=$(sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p' <<<"$help")
		[[ -n $words ]] || words=$(grep -oE "sallyportctl${path[*]:+ ${path[*]}} [a-z][a-z-]*" <<<"$help" | grep -oE '[a-z-]+$' |
		    sort -u)
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	[[ ${#COMPREPLY[@]} -gt 0 || $cur == -* ]] || compopt -o default 2>/dev/null
	return 0
}

complete -F _sallyportctl sallyportctl
