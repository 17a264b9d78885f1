package command

import (
	"fmt"
	"strings"
)

// zshCompletion returns the script for zsh, which calls _arguments with the flags of the command.
func zshCompletion(pages []completedPage) string {
	var b strings.Builder
	b.WriteString("#compdef trainer\n" + completionHead("zsh"))
	b.WriteString(`_trainer() {
	local page= n
	for n in 2 1; do
		((CURRENT > n + 1)) || continue
		case "${(j: :)words[2,n+1]}" in
`)
	var names []string
	for _, p := range pages[1:] {
		names = append(names, zshQuote(p.name))
	}
	fmt.Fprintf(&b, "\t\t(train|%s)\n", strings.Join(names, "|"))
	b.WriteString(`			page="${(j: :)words[2,n+1]}"
			words=("$words[1]" "${(@)words[n+2,-1]}")
			((CURRENT -= n))
			break ;;
		esac
	done
	case "$page" in
`)
	for _, p := range pages {
		name := zshQuote(p.name)
		if p.name == "" {
			name = "''|train"
		}
		fmt.Fprintf(&b, "\t(%s)\n\t\t_arguments \\\n", name)
		for _, f := range p.flags {
			spec := "-" + f.name + "[" + zshSpec(f.doc) + "]"
			switch {
			case f.orFile:
				spec += ":" + zshSpec(f.value) + ":{compadd " + strings.Join(f.words, " ") + "; _files}"
			case len(f.words) > 0:
				spec += ":" + zshSpec(f.value) + ":(" + strings.Join(f.words, " ") + ")"
			case f.value != "":
				spec += ":" + zshSpec(f.value) + ":_files"
			}
			fmt.Fprintf(&b, "\t\t\t%s \\\n", zshQuote(spec))
		}
		if len(p.words) > 0 {
			fmt.Fprintf(&b, "\t\t\t%s \\\n", zshQuote("1:argument:"+zshWords(p)))
		}
		b.WriteString("\t\t\t'*:file:_files' ;;\n")
	}
	b.WriteString("\tesac\n}\nif [[ $zsh_eval_context[-1] == loadautofunc ]]; then\n\t_trainer \"$@\"\nelse\n\tcompdef _trainer trainer\nfi\n")
	return b.String()
}

// zshWords returns the words of an argument, with their texts if they have any.
func zshWords(p completedPage) string {
	if p.docs == nil {
		return "(" + strings.Join(p.words, " ") + ")"
	}
	var list []string
	for i, word := range p.words {
		list = append(list, word+`\:`+`"`+strings.NewReplacer(`"`, `\"`, `:`, `\:`).Replace(p.docs[i])+`"`)
	}
	return "((" + strings.Join(list, " ") + "))"
}

// zshSpec returns a text for a specification of _arguments.
func zshSpec(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(text)
}

// zshQuote returns a text as one word of the shell.
func zshQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
