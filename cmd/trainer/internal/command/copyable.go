package command

import (
	"fmt"
	"regexp"
	"strings"
)

// Commands that a message prints to be copied.

// command returns a command that trains with these options and further settings of the recipe; name is "" for trainer
// itself. val is the fraction of the training images that it holds out, 0 for none.
func (j *job) command(name string, val float64, settings ...string) string {
	words := []string{"trainer"}
	if name != "" {
		words = append(words, name)
	}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "-"+flag, shellWord(value))
		}
	}
	add("data", j.data)
	add("data-dir", j.dataDir)
	if j.initial == nil || j.given["recipe"] {
		add("recipe", j.name)
	}
	add("init-from", j.initFrom)
	if strings.Contains(j.initFrom, "://") {
		add("sha256", j.sha256)
	}
	if j.given["test"] {
		add("test", fmt.Sprint(j.test))
	}
	if val > 0 {
		add("val", fmt.Sprint(val))
	}
	if j.given["seed"] {
		add("seed", fmt.Sprint(j.seed))
	}
	if j.given["device"] {
		add("device", j.device)
	}
	if j.given["precision"] {
		add("precision", j.precision.String())
	}
	for _, change := range append(j.changes[:len(j.changes):len(j.changes)], settings...) {
		add("set", change)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=,+@%-]+$`)

// shellWord returns a text as a shell reads it: in quotes, if it has characters that mean something to the shell.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
