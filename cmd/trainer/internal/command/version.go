package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"trainer/nn/device"
)

// versionCommand prints the version of the program and its devices.
func versionCommand() Command {
	return Command{Name: "version", Doc: "print version and devices", run: runVersion}
}

func runVersion(_ context.Context, p *program, args []string) error {
	if len(args) > 0 {
		return usageErrorf("version takes no arguments, got %q", args[0])
	}
	fmt.Fprintf(p.stdout, "trainer %s\n", p.version())
	fmt.Fprintf(p.stdout, "go      %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	for i := range p.Devices {
		kind := p.Devices[len(p.Devices)-1-i] // what every machine has first
		text, err := kind.Describe(device.Options{Instructions: p.getenv(instructionsVariable)})
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%-7s %s\n", kind.Name, text)
	}
	return nil
}

// version returns the version that the linker set, or else the module's, or else the commit.
func (p *program) version() string {
	if p.Version != "" {
		return p.Version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	v := "devel"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v += " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			v += "+changes"
		}
	}
	return v
}
