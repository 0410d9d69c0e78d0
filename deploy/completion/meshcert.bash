# bash completion of meshcert(1). A test holds it against the option tables.
_meshcert()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
	local command=${COMP_WORDS[1]} words

	if [ "$COMP_CWORD" -eq 1 ]; then
		words="init dev request secret inspect verify status token --help --version --print-options"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		return
	fi
	case $before in
	--output | -o)
		if [ "$command" != request ]; then
			mapfile -t COMPREPLY < <(
				compgen -W "table json yaml" -- "$word")
			return
		fi
		;;
	--purpose)
		mapfile -t COMPREPLY < <(
			compgen -W "server client any" -- "$word")
		return
		;;
	--key-kind)
		words="P-256 P-384 RSA-2048 RSA-3072 RSA-4096"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
		return
		;;
	esac
	case $command in
	init)
		words="--trust-domain --force --help"
		;;
	dev)
		words="--dir --identity --ttl --help"
		;;
	request)
		words="--ca --root --server-name --token --join-token --cert --key --identity --key-kind --ttl --out --help"
		;;
	secret)
		words="--socket --admin --agent --file --output --timeout --help"
		;;
	inspect)
		words="--output --server-name --help"
		;;
	verify)
		words="--root --chain --host --identity --purpose --at --warn --lenient --help"
		;;
	status)
		words="--socket --data-dir --agent --output --help"
		;;
	token)
		words="create --identity --ttl --socket --data-dir --output --help"
		;;
	*)
		words=""
		;;
	esac
	if [ "${word:0:1}" = - ] || [ "$command" = token ]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -o filenames -F _meshcert meshcert
