package command

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"trainer/cmd/trainer/internal/figure"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// completionCommand prints what a shell needs to complete trainer's arguments.
func completionCommand() Command {
	return Command{Name: "completion", Args: "SHELL", Doc: "print the completion for bash, zsh or fish", run: runCompletion}
}

// shells are the shells with completion, and what writes it.
var shells = []struct {
	name  string
	write func(pages []completedPage) string
}{{"bash", bashCompletion}, {"zsh", zshCompletion}, {"fish", fishCompletion}}

var completionUsage = usage{
	about: "trainer completion prints a script by which a shell completes the arguments of trainer.",
	lines: []string{"trainer completion SHELL     bash, zsh or fish"},
	notes: `Examples:
  source <(trainer completion bash)                                     in ~/.bashrc
  trainer completion zsh > ~/.zfunc/_trainer                            in a folder of $fpath
  trainer completion fish > ~/.config/fish/completions/trainer.fish`,
}

func runCompletion(ctx context.Context, p *program, args []string) error {
	rest, done, err := p.parseAnywhere(flag.NewFlagSet("completion", flag.ContinueOnError), completionUsage, args)
	if done || err != nil {
		return err
	}
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	if len(rest) != 1 {
		return usageErrorf("completion takes one shell: trainer completion SHELL%s", suggest("", names))
	}
	for _, s := range shells {
		if s.name != rest[0] {
			continue
		}
		pages, err := p.completedPages(ctx, names)
		if err != nil {
			return err
		}
		_, err = fmt.Fprint(p.stdout, s.write(pages))
		return err
	}
	return usageErrorf("completion: unknown shell %q%s", rest[0], suggest(rest[0], names))
}

// completedPage is what can follow the words of a command.
type completedPage struct {
	name  string   // such as "draw run"; "" for trainer itself
	words []string // that its next argument can be; none if that is a file
	docs  []string // of the words; nil if they have none
	flags []completedFlag
}

type completedFlag struct {
	name, doc string
	value     string   // what the help calls the value; "" if the flag takes none
	words     []string // that the value can be; none if it is a file, a number or a text
	orFile    bool     // the value can be one of the words, or a file
}

// completedPages returns what can follow the words of each command.
func (p *program) completedPages(ctx context.Context, shells []string) ([]completedPage, error) {
	pages, err := p.pages(ctx)
	if err != nil {
		return nil, err
	}
	values := p.flagValues()
	var all []completedPage
	for _, page := range pages {
		c := completedPage{name: page.name()}
		switch {
		case c.name == "", c.name == "help":
			for _, command := range p.Commands {
				if !command.Hidden {
					c.words, c.docs = append(c.words, command.Name), append(c.docs, command.Doc)
				}
			}
		case c.name == "recipe":
			c.words = recipe.Names()
		case c.name == "completion":
			c.words = shells
		case len(page.words) == 1:
			c.words = page.command.Kinds
		}
		page.flags.VisitAll(func(f *flag.Flag) {
			value, doc := valueAndUsage(f.Usage)
			c.flags = append(c.flags, completedFlag{f.Name, shortDoc(doc), value, values[f.Name], f.Name == "data" || f.Name == "recipe"})
		})
		c.flags = append(c.flags, completedFlag{name: "h", doc: "print this help"})
		all = append(all, c)
	}
	return all, nil
}

// flagValues returns the values of flags that take one of a few, by the flags' names.
func (p *program) flagValues() map[string][]string {
	var precisions []string
	for _, name := range strings.FieldsFunc(device.PrecisionNames(), func(r rune) bool { return r == ',' || r == ' ' }) {
		if name != "or" {
			precisions = append(precisions, name)
		}
	}
	return map[string][]string{
		"data": data.NamesOf(p.Kinds.DataSets), "recipe": recipe.Names(), "device": append([]string{auto}, p.kindNames()...),
		"precision": precisions, "part": parts, "sort": runOrders, "to": exportFormats, "strategy": strategies, "format": figure.Formats(),
	}
}

// shortDoc returns the beginning of a flag's text, for a line of a menu.
func shortDoc(doc string) string {
	const most = 60
	if lines := wrap(doc, most); len(lines) > 1 {
		return strings.TrimRight(lines[0], ",;:(") + " ..."
	}
	return doc
}

// completionHead is the first line of a script.
func completionHead(shell string) string {
	return "# Completion of trainer for " + shell + ", made by trainer completion " + shell + ".\n"
}
