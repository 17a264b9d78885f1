package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// The arguments of commands other than train.

// usage is a command's help.
type usage struct {
	about string // a sentence
	lines []string
	notes string // after the flags: what needs more than a line, examples, the exit status; may be empty
}

// parseAnywhere parses a command's flags, which may stand before, between and after its other arguments, and returns the
// latter. After "--" nothing is a flag. With -h it prints the help, and done is true.
func (p *program) parseAnywhere(f *flag.FlagSet, u usage, args []string) (rest []string, done bool, err error) {
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			p.writeUsage(f, u)
			return nil, true, nil
		}
		if err != nil {
			return nil, false, flagError(f, err)
		}
		left := f.Args()
		if len(left) == 0 {
			return rest, false, nil
		}
		if n := len(args) - len(left); n > 0 && args[n-1] == "--" {
			return append(rest, left...), false, nil
		}
		rest, args = append(rest, left[0]), left[1:]
	}
}

// writeUsage prints the help of a command.
func (p *program) writeUsage(f *flag.FlagSet, u usage) {
	fmt.Fprintf(p.stdout, "%s\n\nUsage:\n", u.about)
	for _, line := range u.lines {
		fmt.Fprintf(p.stdout, "  %s\n", line)
	}
	fmt.Fprint(p.stdout, "\nFlags:\n")
	f.VisitAll(func(f *flag.Flag) { writeFlag(p.stdout, f) })
	writeFlag(p.stdout, nil)
	if u.notes != "" {
		fmt.Fprintf(p.stdout, "\n%s\n", u.notes)
	}
}
