package command

import (
	"flag"
	"fmt"
	"io"
	"strings"
)

// writeHelp prints the help of trainer.
func (p *program) writeHelp() {
	w := p.stdout
	fmt.Fprint(w, `trainer trains convolutional networks on images.

Usage:
  trainer [flags]          train a network
`)
	for _, c := range p.Commands[1:] {
		if !c.Hidden {
			fmt.Fprintf(w, "  trainer %-16s %s\n", strings.TrimSpace(c.Name+" "+c.Args), c.Doc)
		}
	}
	flags := p.newFlags(&options{})
	for _, g := range flagGroups() {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, name := range g.flags {
			writeFlag(w, flags.Lookup(name))
		}
	}
	fmt.Fprint(w, `
Examples:
  trainer                                     MNIST, on the best device available
  trainer -data cifar10 -epochs 4             CIFAR-10, downloaded if necessary
  trainer -recipe mnist-basic -set optimizer.momentum=0.9
  trainer recipe mnist > my.toml              then edit my.toml, and
  trainer -recipe my.toml -data pictures/     train your own network on your own images
  trainer -recipe my.toml -dry-run            its layers, parameters and memory
  trainer -runs 10 -json                      ten seeds, as JSON for another program
  trainer -resume runs/2026-01-31-mnist-mnist

The environment variable TRAINER_CPU=avx512, avx2 or generic selects the CPU's instructions.
Exit status: 0 success; 1 device, memory, download or internal failure; 2 invalid arguments,
recipe, data or output, or a diverged loss; 130 interrupted
(Ctrl-C, SIGTERM, SIGHUP).
`)
}

// helpColumn is where the texts of flags begin.
const helpColumn = 30

// writeFlag prints a flag of the help: its name, its value and its text, with the default.
func writeFlag(w io.Writer, f *flag.Flag) {
	if f == nil { // -h, which package flag adds by itself
		fmt.Fprintf(w, "  %-*s%s\n", helpColumn-2, "-h", "print this help")
		return
	}
	value, usage := valueAndUsage(f.Usage)
	if f.DefValue != "" && f.DefValue != "false" {
		usage += " (default " + f.DefValue + ")"
	}
	head := strings.TrimSpace("-" + f.Name + " " + value)
	fmt.Fprintf(w, "  %-*s%s\n", helpColumn-2, head, strings.Join(wrap(usage, 100-helpColumn), "\n"+strings.Repeat(" ", helpColumn)))
}

// valueAndUsage splits "`value` usage". A flag without a value has no backquotes.
func valueAndUsage(text string) (value, usage string) {
	rest, ok := strings.CutPrefix(text, "`")
	if !ok {
		return "", text
	}
	value, usage, _ = strings.Cut(rest, "` ")
	return value, usage
}

// wrap breaks a text into lines of at most width letters. Longer words stay whole.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}
