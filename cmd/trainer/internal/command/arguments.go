package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// The arguments of commands, and their help. Each command passes its flags and its usage to parseAnywhere, which prints
// them for -h; the manual pages and the shells' completion are made from the same (see manual.go), so that no flag is
// listed twice.

// usage is a command's help.
type usage struct {
	about  string // a sentence
	lines  []string
	groups []flagGroup // headings for the flags; nil for one, Flags
	notes  string      // after the flags: what needs more than a line, examples, the exit status; may be empty
}

// flagGroup is a heading of the help and its flags.
type flagGroup struct {
	title string
	flags []string
}

// headings returns the groups of a command's flags. -h, which package flag adds by itself, is the last of them.
func (u usage) headings(f *flag.FlagSet) []flagGroup {
	if u.groups != nil {
		return u.groups
	}
	all := flagGroup{title: "Flags"}
	f.VisitAll(func(f *flag.Flag) { all.flags = append(all.flags, f.Name) })
	all.flags = append(all.flags, "h")
	return []flagGroup{all}
}

// parseAnywhere parses a command's flags, which may stand before, between and after its other arguments, and returns the
// latter. After "--" nothing is a flag. With -h it shows the help, and done is true.
func (p *program) parseAnywhere(f *flag.FlagSet, u usage, args []string) (rest []string, done bool, err error) {
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	for {
		err := f.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			p.showUsage(f, u)
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

// showUsage prints the help of a command, or hands it to who collects the pages of the manual.
func (p *program) showUsage(f *flag.FlagSet, u usage) {
	if p.collect != nil {
		p.collect(f, u)
		return
	}
	writeUsage(p.stdout, f, u)
}

// writeUsage prints the help of a command.
func writeUsage(w io.Writer, f *flag.FlagSet, u usage) {
	fmt.Fprintf(w, "%s\n\nUsage:\n", u.about)
	for _, line := range u.lines {
		fmt.Fprintf(w, "  %s\n", line)
	}
	for _, g := range u.headings(f) {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, name := range g.flags {
			writeFlag(w, f.Lookup(name))
		}
	}
	if u.notes != "" {
		fmt.Fprintf(w, "\n%s\n", u.notes)
	}
}
