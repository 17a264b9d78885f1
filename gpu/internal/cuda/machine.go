//go:build cuda && linux && cgo && (amd64 || arm64)

package cuda

import (
	"context"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// machine returns the places of this machine.
func machine() places {
	return places{
		getenv: os.Getenv,
		files:  os.DirFS("/"),
		real: func(file string) string {
			if real, err := filepath.EvalSymlinks(file); err == nil {
				return real
			}
			return file
		},
		python: askPython,
		arch:   map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH],
	}
}

// askPython asks a Python interpreter for the folders that it imports from. For an interpreter
// that fails, or takes more than two seconds, it returns none.
func askPython(interpreter string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, "-c", `import sys; print("\n".join(sys.path))`)
	cmd.WaitDelay = 100 * time.Millisecond
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(dir string) bool { return !path.IsAbs(dir) })
}
