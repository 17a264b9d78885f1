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
  trainer [flags]          train; every default comes from the recipe
`)
	for _, c := range p.Commands[1:] {
		if !c.Hidden {
			fmt.Fprintf(w, "  trainer %-16s %s\n", strings.TrimSpace(c.Name+" "+c.Args), c.Doc)
		}
	}
	flags := newFlags(&options{})
	for _, g := range flagGroups() {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, name := range g.flags {
			writeFlag(w, flags.Lookup(name))
		}
	}
	fmt.Fprint(w, `
Examples:
  trainer                                     MNIST, on the best device present
  trainer -data cifar10 -epochs 4             CIFAR-10, downloaded unless it is there
  trainer -recipe mnist-basic -set optimizer.momentum=0.9
  trainer recipe mnist > my.toml              then change my.toml, and
  trainer -recipe my.toml -data pictures/     train an own network on own images
  trainer -recipe my.toml -dry-run            its layers, parameters and memory
  trainer -runs 10 -json                      ten seeds, for a program to read
  trainer -resume runs/2026-01-31-mnist-mnist

The variable TRAINER_CPU=avx512, avx2 or generic picks the CPU's instructions.
Exit status: 0 done, 1 the machine failed, 2 wrong arguments, recipe or data, 130 Ctrl-C.
`)
}

// helpColumn is where the flags' texts begin.
const helpColumn = 30

func writeFlag(w io.Writer, f *flag.Flag) {
	if f == nil { // -h, which package flag adds by itself
		fmt.Fprintf(w, "  %-*s%s\n", helpColumn-2, "-h", "print this")
		return
	}
	value, usage := flag.UnquoteUsage(f)
	usage = strings.ReplaceAll(usage, "`", "")
	if f.DefValue != "" && f.DefValue != "false" {
		usage += " (" + f.DefValue + ")"
	}
	head := strings.TrimSpace("-" + f.Name + " " + value)
	fmt.Fprintf(w, "  %-*s%s\n", helpColumn-2, head, strings.Join(wrap(usage, 100-helpColumn), "\n"+strings.Repeat(" ", helpColumn)))
}

// wrap breaks a text into lines of at most width letters, but for longer words.
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
