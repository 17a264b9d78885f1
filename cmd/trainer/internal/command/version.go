package command

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"trainer/gpu"
)

// versionCommand prints the version and what the program can compute on.
func versionCommand() Command {
	return Command{Name: "version", Doc: "print version and devices", run: runVersion}
}

func runVersion(_ context.Context, p *program, args []string) error {
	if len(args) > 0 {
		return usageErrorf("version takes no arguments, got %q", args[0])
	}
	dev, err := p.openCPU(0)
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Fprintf(p.stdout, "trainer %s\n", p.version())
	fmt.Fprintf(p.stdout, "go      %s %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(p.stdout, "cpu     %s; in use: %s\n", dev.Info().Description, strings.Join(dev.Info().Features, ", "))
	fmt.Fprintf(p.stdout, "cuda    %s\n", cudaInBuild())
	return nil
}

func cudaInBuild() string {
	if gpu.Built {
		return "in this build (trainer doctor says whether a GPU can be used)"
	}
	return "not in this build"
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
