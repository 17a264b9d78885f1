package command

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every flag of every command is in its manual page and in the completion of each shell.
func TestManualAndCompletionHaveEveryFlag(t *testing.T) {
	t.Chdir(t.TempDir())
	if got := trainer(t, "man", "man1"); got.status != exitOK || got.stdout+got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	scripts := map[string]string{}
	for _, shell := range shells {
		got := trainer(t, "completion", shell.name)
		if got.status != exitOK {
			t.Fatalf("%s: %+v", shell.name, got)
		}
		scripts[shell.name] = got.stdout
	}
	pages, err := testProgram().pages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		manual := read(t, filepath.Join("man1", page.title()+".1"))
		page.flags.VisitAll(func(f *flag.Flag) {
			if !strings.Contains(manual, "\n.B \\-"+strings.ReplaceAll(f.Name, "-", `\-`)) {
				t.Errorf("%s.1 lacks -%s", page.title(), f.Name)
			}
			for shell, line := range map[string]string{"bash": "-" + f.Name, "zsh": "'-" + f.Name + "[", "fish": "'__trainer_page \\'" + page.name() + "\\'' -o " + f.Name + " "} {
				if !strings.Contains(scripts[shell], line) {
					t.Errorf("%s: no -%s of %q", shell, f.Name, page.name())
				}
			}
		})
	}
	refused(t, trainer(t, "completion", "tcsh"), `completion: unknown shell "tcsh", did you mean bash? (valid: bash, zsh, fish)`)
}

// bash completes commands, kinds, flags and values.
func TestBashCompletes(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	t.Chdir(t.TempDir())
	write(t, "completion", trainer(t, "completion", "bash").stdout)
	for words, want := range map[string]string{
		"pre":             "predict",
		"draw ":           "network augment run",
		"draw run -form":  "-format",
		"draw run -o x -": "-device -format -o -h",
		"runs -sort a":    "accuracy",
		"-precision ":     "auto fp32 tf32 fp16 bf16",
		"train -data-d":   "-data-dir",
		"help ben":        "bench",
		"predict x":       "",
	} {
		list := strings.Split(words, " ")
		for i := range list {
			list[i] = "'" + list[i] + "'"
		}
		script := "source ./completion; COMP_WORDS=(trainer " + strings.Join(list, " ") + "); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); _trainer; echo \"${COMPREPLY[*]}\""
		cmd := exec.CommandContext(t.Context(), bash, "--norc", "-c", script)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%q: %q, %v, want %q", words, out, err, want)
		}
	}
}
