package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// helpCommand prints the help of a command.
func helpCommand() Command {
	return Command{Name: "help", Args: "COMMAND", Doc: "print the help of a command, as COMMAND -h does", run: runHelp}
}

var helpUsage = usage{
	about: "trainer help prints the help of a command.",
	lines: []string{
		"trainer help              trainer itself",
		"trainer help COMMAND      one of its commands, as trainer COMMAND -h",
	},
}

func runHelp(ctx context.Context, p *program, args []string) error {
	rest, done, err := p.parseAnywhere(flag.NewFlagSet("help", flag.ContinueOnError), helpUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) == 0 {
		return p.Commands[0].run(ctx, p, []string{"-h"})
	}
	c, err := p.command(rest[0])
	if err != nil {
		return err
	}
	if len(rest) > 2 || len(rest) == 2 && !slices.Contains(c.Kinds, rest[1]) {
		return usageErrorf("help takes the name of a command, got %q", strings.Join(rest, " "))
	}
	return c.run(ctx, p, append(rest[1:], "-h"))
}

// trainUsage is the help of trainer train, and of the program.
func (p *program) trainUsage() usage {
	u := usage{
		about:  "trainer trains convolutional networks on images.",
		lines:  []string{"trainer [flags]          train a network"},
		groups: flagGroups(),
		notes: `Examples:
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
(Ctrl-C, SIGTERM, SIGHUP).`,
	}
	for _, c := range p.Commands[1:] {
		if !c.Hidden {
			u.lines = append(u.lines, fmt.Sprintf("trainer %-16s %s", strings.TrimSpace(c.Name+" "+c.Args), c.Doc))
		}
	}
	return u
}

// helpColumn is where the texts of flags begin.
const helpColumn = 30

// writeFlag prints a flag of the help: its name, its value and its text, with the default.
func writeFlag(w io.Writer, f *flag.Flag) {
	head, text := flagHead(f)
	fmt.Fprintf(w, "  %-*s%s\n", helpColumn-2, head, strings.Join(wrap(text, 100-helpColumn), "\n"+strings.Repeat(" ", helpColumn)))
}

// flagHead returns a flag with its value, and its text, with the default. nil is -h, which package flag adds by itself.
func flagHead(f *flag.Flag) (head, text string) {
	if f == nil {
		return "-h", "print this help"
	}
	value, text := valueAndUsage(f.Usage)
	if f.DefValue != "" && f.DefValue != "false" {
		text += " (default " + f.DefValue + ")"
	}
	return strings.TrimSpace("-" + f.Name + " " + value), text
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
