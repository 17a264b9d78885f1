package command

import (
	"fmt"
	"strings"
)

// bashCompletion returns the script for bash. Files complete what the script leaves open (-o default).
func bashCompletion(pages []completedPage) string {
	var b strings.Builder
	b.WriteString(completionHead("bash"))
	b.WriteString(`_trainer() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} page= at=1 words= flags=
	COMPREPLY=()
	if ((COMP_CWORD > 1)); then
		case ${COMP_WORDS[1]} in
`)
	var names []string
	kinds := map[string][]string{}
	for _, p := range pages[1:] {
		first, kind, isKind := strings.Cut(p.name, " ")
		if isKind {
			kinds[first] = append(kinds[first], kind)
			continue
		}
		names = append(names, first)
	}
	fmt.Fprintf(&b, "\t\t%s) page=${COMP_WORDS[1]} at=2 ;;\n\t\tesac\n\tfi\n", strings.Join(append([]string{"train"}, names...), "|"))
	b.WriteString("\t[[ $page != train ]] || page= at=0\n")
	for _, name := range names {
		if len(kinds[name]) > 0 {
			fmt.Fprintf(&b, "\tif [[ $page == %s ]] && ((COMP_CWORD > 2)); then\n\t\tcase ${COMP_WORDS[2]} in\n\t\t%s) page+=\" ${COMP_WORDS[2]}\" at=3 ;;\n\t\tesac\n\tfi\n",
				name, strings.Join(kinds[name], "|"))
		}
	}
	b.WriteString("\tcase $page,$prev in\n")
	for _, p := range pages {
		var free []string
		for _, f := range p.flags {
			switch {
			case len(f.words) > 0:
				fmt.Fprintf(&b, "\t%q,-%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", p.name, f.name, strings.Join(f.words, " "))
			case f.value != "":
				free = append(free, fmt.Sprintf("%q,-%s", p.name, f.name))
			}
		}
		if len(free) > 0 {
			fmt.Fprintf(&b, "\t%s) return ;;\n", strings.Join(free, "|"))
		}
	}
	b.WriteString("\tesac\n\tcase $page in\n")
	for _, p := range pages {
		var flags []string
		for _, f := range p.flags {
			flags = append(flags, "-"+f.name)
		}
		fmt.Fprintf(&b, "\t%q) words=%q flags=%q ;;\n", p.name, strings.Join(p.words, " "), strings.Join(flags, " "))
	}
	b.WriteString(`	esac
	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "$flags" -- "$cur"))
	elif ((COMP_CWORD == at)); then
		COMPREPLY=($(compgen -W "$words" -- "$cur"))
	fi
}
complete -o default -F _trainer trainer
`)
	return b.String()
}
