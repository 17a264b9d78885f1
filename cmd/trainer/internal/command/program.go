// Package command is the program trainer: one file per command, and the pieces that several commands share. A command
// is a Command value in the list that main passes to Main.
package command

import (
	"context"
	"flag"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"trainer/nn/device"
	"trainer/nn/printable"
	"trainer/nn/recipe"
)

// Config is what main decides.
type Config struct {
	Version  string        // "" if the linker set none
	Devices  []device.Kind // in the order in which -device auto tries them; the last is on every machine
	Commands []Command     // in the order of the help; the first runs if no command is named
	Kinds    recipe.Kinds  // what recipes can name
}

// Command is what the first argument can ask for.
type Command struct {
	Name   string
	Args   string   // its arguments in the help, such as "NAME"; "" for none but flags
	Doc    string   // a line of the help
	Kinds  []string // the values of its first argument that have flags of their own; nil if there are none
	Hidden bool     // not in the help: for the program itself
	run    func(ctx context.Context, p *program, args []string) error
}

// BuiltIn returns all commands.
func BuiltIn() []Command {
	return []Command{trainCommand(), lrCommand(), tuneCommand(), predictCommand(), evaluateCommand(), serveCommand(), exportCommand(), importCommand(), dataCommand(), recipeCommand(), drawCommand(), runsCommand(), compareCommand(), reportCommand(), benchCommand(), planCommand(), doctorCommand(), completionCommand(), manCommand(), versionCommand(), helpCommand(), stepCommand()}
}

// program is a Config and what the commands take from their surroundings.
type program struct {
	Config
	stdin          io.Reader
	stdout, stderr io.Writer // which make control characters visible: see note
	getenv         func(string) string
	now            func() time.Time
	terminal       bool                           // whether stdout is a terminal
	dialog         bool                           // whether stdin and stderr are, so that somebody can answer a question
	screen         io.Writer                      // stdout itself, for the library that draws on a terminal
	executable     string                         // this program's file; "" if unknown
	stepEnv        []string                       // additional environment of trainer doctor's processes
	collect        func(f *flag.FlagSet, u usage) // takes what -h would print; nil to print it
}

// Main runs the command that the program's arguments name, and returns the exit status, by which mpi.Exit must end the process.
func Main(c Config) int {
	ctx, release := untilSignal(context.Background())
	defer release()

	self, err := os.Executable()
	if err != nil {
		self = "" // a command that needs it reports that it is missing
	}
	return run(ctx, &program{
		Config:     c,
		stdin:      os.Stdin,
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		getenv:     os.Getenv,
		now:        time.Now,
		terminal:   term.IsTerminal(int(os.Stdout.Fd())),
		dialog:     term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		executable: self,
	}, os.Args[1:])
}

// run runs a command and returns the exit status.
func run(ctx context.Context, p *program, args []string) (status int) {
	p.screen = p.stdout
	p.stdout, p.stderr = printable.Writer(p.stdout), printable.Writer(p.stderr)
	defer func() {
		if r := recover(); r != nil {
			status = p.internalError(r)
		}
	}()
	err := p.dispatch(ctx, args)
	if err == nil {
		return exitOK
	}
	return p.report(err)
}

// dispatch finds the command and runs it.
func (p *program) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 || len(args[0]) > 0 && args[0][0] == '-' {
		return p.Commands[0].run(ctx, p, args)
	}
	c, err := p.command(args[0])
	if err != nil {
		return err
	}
	return c.run(ctx, p, args[1:])
}

// command returns the command of a name.
func (p *program) command(name string) (Command, error) {
	var names []string
	for _, c := range p.Commands {
		if c.Name == name {
			return c, nil
		}
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	return Command{}, usageErrorf("unknown command %q%s", name, suggest(name, names))
}
