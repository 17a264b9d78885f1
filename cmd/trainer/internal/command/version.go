package command

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"trainer/nn/device"
)

// versionCommand prints the version of the program and its devices.
func versionCommand() Command {
	return Command{Name: "version", Doc: "print version and devices", run: runVersion}
}

var versionUsage = usage{
	about: "trainer version prints the versions of trainer and Go, and the kinds of devices.",
	lines: []string{"trainer version [flags]"},
}

func runVersion(_ context.Context, p *program, args []string) error {
	f := flag.NewFlagSet("version", flag.ContinueOnError)
	asJSON := f.Bool("json", false, "print one JSON object instead of text")
	rest, done, err := p.parseAnywhere(f, versionUsage, args)
	if done || err != nil {
		return err
	}
	if len(rest) > 0 {
		return usageErrorf("version takes no arguments, got %q", rest[0])
	}
	return p.printVersion(*asJSON)
}

// printVersion prints the versions, and a line per kind of device, first what every machine has.
func (p *program) printVersion(asJSON bool) error {
	v := struct {
		Version  string            `json:"version"`
		Go       string            `json:"go"`
		Platform string            `json:"platform"`
		Devices  map[string]string `json:"devices"`
	}{p.version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, map[string]string{}}
	var names []string
	for _, kind := range slices.Backward(p.Devices) {
		text, err := kind.Describe(device.Options{Instructions: p.getenv(instructionsVariable)})
		if err != nil {
			return err
		}
		v.Devices[kind.Name] = text
		names = append(names, kind.Name)
	}
	if asJSON {
		return json.NewEncoder(p.stdout).Encode(v)
	}
	fmt.Fprintf(p.stdout, "trainer %s\n", v.Version)
	fmt.Fprintf(p.stdout, "go      %s %s\n", v.Go, v.Platform)
	for _, name := range names {
		fmt.Fprintf(p.stdout, "%-7s %s\n", name, v.Devices[name])
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
