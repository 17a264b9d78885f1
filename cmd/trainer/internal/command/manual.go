package command

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"trainer/nn/folder"
)

// The manual pages, in the macros of man(7). They and the shells' completion are made from what every command prints for
// -h.

// helpPage is the help of a command.
type helpPage struct {
	words   []string // after trainer: none for trainer itself, or such as draw, run
	command Command
	flags   *flag.FlagSet
	usage   usage
}

// name returns the words of the page, such as "draw run"; "" for trainer itself.
func (h helpPage) name() string { return strings.Join(h.words, " ") }

// title returns the name of the page's file without its ending, such as "trainer-draw-run".
func (h helpPage) title() string { return strings.Join(append([]string{"trainer"}, h.words...), "-") }

// pages returns the help of all commands: each is asked for its own, but nothing is printed. The first is that of trainer.
func (p *program) pages(ctx context.Context) ([]helpPage, error) {
	var all []helpPage
	for i, c := range p.Commands {
		if c.Hidden {
			continue
		}
		asked := [][]string{{}}
		for _, kind := range c.Kinds {
			asked = append(asked, []string{kind})
		}
		for _, kind := range asked {
			page := helpPage{command: c}
			if i > 0 {
				page.words = append([]string{c.Name}, kind...)
			}
			q := *p
			q.collect = func(f *flag.FlagSet, u usage) { page.flags, page.usage = f, u }
			if err := c.run(ctx, &q, append(kind, "-h")); err != nil {
				return nil, err
			}
			if page.flags == nil {
				panic("command " + c.Name + ": -h doesn't show its usage by parseAnywhere")
			}
			all = append(all, page)
		}
	}
	return all, nil
}

// manCommand writes the manual pages.
func manCommand() Command {
	return Command{Name: "man", Args: "FOLDER", Doc: "write the manual pages into a folder", run: runMan}
}

var manUsage = usage{
	about: "trainer man writes the manual pages of trainer and its commands into a folder.",
	lines: []string{"trainer man FOLDER"},
	notes: "Example:\n  trainer man ~/.local/share/man/man1 && man trainer-predict",
}

func runMan(ctx context.Context, p *program, args []string) error {
	rest, done, err := p.parseAnywhere(flag.NewFlagSet("man", flag.ContinueOnError), manUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageErrorf("man takes one folder: trainer man FOLDER")
	}
	pages, err := p.pages(ctx)
	if err != nil {
		return err
	}
	dir, err := folder.Make(rest[0])
	if err != nil {
		return err
	}
	defer dir.Close()
	for _, page := range pages {
		if err := dir.Write(page.title()+".1", []byte(page.man(p.version(), pages))); err != nil {
			return err
		}
	}
	return nil
}

// man returns the manual page.
func (h helpPage) man(version string, all []helpPage) string {
	var b strings.Builder
	doc := h.command.Doc
	switch len(h.words) {
	case 0:
		doc = "train convolutional networks on images"
	case 2:
		doc, _, _ = strings.Cut(strings.TrimPrefix(strings.ReplaceAll(h.usage.about, "\n", " "), "trainer "+h.name()+" "), ".")
	}
	fmt.Fprintf(&b, ".\\\" Made by trainer man.\n.TH %s 1 \"\" \"trainer %s\" \"trainer\"\n", strings.ToUpper(roff(h.title())), roff(version))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(h.title()), roff(doc))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.nf\n%s\n.fi\n", roff(strings.Join(h.usage.lines, "\n")))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n", roff(h.usage.about))
	for _, g := range h.usage.headings(h.flags) {
		fmt.Fprintf(&b, ".SH %s\n", roff(strings.ToUpper(g.title)))
		for _, name := range g.flags {
			head, text := flagHead(h.flags.Lookup(name))
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(head), roff(text))
		}
	}
	if h.usage.notes != "" {
		fmt.Fprintf(&b, ".SH NOTES\n.nf\n%s\n.fi\n", roff(h.usage.notes))
	}
	var others []string
	for _, other := range all {
		if other.title() != h.title() && (len(h.words) == 0 || len(other.words) == 0) {
			others = append(others, "\\fB"+roff(other.title())+"\\fR(1)")
		}
	}
	fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", strings.Join(others, ",\n"))
	return b.String()
}

// roff returns a text with what man(7) would read as an instruction made visible. A hyphen stands for itself, so that
// flags can be copied.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
