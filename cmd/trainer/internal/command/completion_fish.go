package command

import (
	"fmt"
	"strings"
)

// fishCompletion returns the script for fish: a line per flag and word, each with the condition that its command was typed.
func fishCompletion(pages []completedPage) string {
	var b strings.Builder
	b.WriteString(completionHead("fish"))
	b.WriteString(`function __trainer_page
	set -l words (commandline -opc)
	set -l page
	for n in 3 2
		if test (count $words) -ge $n; and contains -- "$words[2..$n]"`)
	for _, p := range pages[1:] {
		b.WriteString(" " + fishQuote(p.name))
	}
	b.WriteString(`
			set page "$words[2..$n]"
			set -e words[2..$n]
			break
		end
	end
	if test -z "$page"; and test "$words[2]" = train
		set -e words[2]
	end
	test "$page" = "$argv[1]"; or return 1
	test (count $argv) -eq 1; or test (count $words) -eq 1 # with a second argument: if nothing follows yet
end
`)
	for _, p := range pages {
		is := fishQuote("__trainer_page " + fishQuote(p.name))
		isFirst := fishQuote("__trainer_page " + fishQuote(p.name) + " first")
		for i, word := range p.words {
			doc := ""
			if p.docs != nil {
				doc = " -d " + fishQuote(p.docs[i])
			}
			fmt.Fprintf(&b, "complete -c trainer -n %s -f -a %s%s\n", isFirst, word, doc)
		}
		for _, f := range p.flags {
			value := ""
			switch {
			case f.orFile:
				value = " -r -a " + fishQuote(strings.Join(f.words, " "))
			case len(f.words) > 0:
				value = " -x -a " + fishQuote(strings.Join(f.words, " "))
			case f.value != "":
				value = " -r"
			}
			fmt.Fprintf(&b, "complete -c trainer -n %s -o %s%s -d %s\n", is, f.name, value, fishQuote(f.doc))
		}
	}
	return b.String()
}

// fishQuote returns a text as one word of the shell.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
