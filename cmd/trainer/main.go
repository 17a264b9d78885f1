// Command trainer trains convolutional networks on images.
//
//	trainer                          trains MNIST on the best device present
//	trainer -data cifar10            trains CIFAR-10
//	trainer -data DIR                trains on a folder with one subfolder of images a class
//	trainer recipe NAME > my.toml    prints a built-in recipe, to start an own one from
//	trainer -h                       says the rest
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), stopSignals()...)
	defer stop()
	// After the first signal, which asks to stop, the next one kills as usual.
	context.AfterFunc(ctx, stop)

	self, err := os.Executable()
	if err != nil {
		self = "" // who needs it says so
	}
	os.Exit(run(ctx, &program{
		stdout:     os.Stdout,
		stderr:     os.Stderr,
		getenv:     os.Getenv,
		now:        time.Now,
		terminal:   term.IsTerminal(int(os.Stdout.Fd())),
		executable: self,
	}, os.Args[1:]))
}

// program is what the command takes from its surroundings.
type program struct {
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
	terminal       bool   // whether stdout is a terminal
	executable     string // this program's file; "" if unknown
}

// command is what the first argument can ask for.
type command struct {
	name, doc string
	run       func(ctx context.Context, p *program, args []string) error
}

func commands() []command {
	return []command{
		{"train", "train a network; the default", trainCommand},
		{"recipe", "print a built-in recipe", recipeCommand},
		{"draw", "draw a network, or what a run gave; draw -h says more", drawCommand},
		{"bench", "measure this machine, and how fast it trains each recipe", benchCommand},
		{"doctor", "say whether a GPU can be used, and if not, what to do", doctorCommand},
		{"version", "print version and devices", versionCommand},
	}
}

// run runs the program and returns its exit status.
func run(ctx context.Context, p *program, args []string) (status int) {
	defer func() {
		if r := recover(); r != nil {
			status = p.internalError(r)
		}
	}()
	err := dispatch(ctx, p, args)
	if err == nil {
		return exitOK
	}
	return p.report(err)
}

// dispatch finds the subcommand: without one, trainer trains.
func dispatch(ctx context.Context, p *program, args []string) error {
	if len(args) == 0 || len(args[0]) > 0 && args[0][0] == '-' {
		return trainCommand(ctx, p, args)
	}
	if args[0] == stepName {
		return stepCommand(ctx, p, args[1:])
	}
	var names []string
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, p, args[1:])
		}
		names = append(names, c.name)
	}
	return usageErrorf("unknown subcommand %q%s", args[0], suggest(args[0], names))
}
