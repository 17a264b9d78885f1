package command

import (
	"fmt"
	"regexp"
	"strings"
)

// Commands that a message prints to be copied.

// arguments returns the arguments of a command that trains with these options. val is the fraction of the training images
// that it holds out, 0 for none.
func (j *job) arguments(val float64) []string {
	var words []string
	add := func(flag, value string) {
		if value != "" {
			words = append(words, "-"+flag, value)
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
	for _, change := range j.changes {
		add("set", change)
	}
	return words
}

// commandLine returns a command of trainer with arguments and further settings of the recipe, as a shell reads it. name is ""
// for trainer itself.
func commandLine(name string, arguments []string, settings ...string) string {
	line := "trainer"
	if name != "" {
		line += " " + name
	}
	for _, word := range arguments {
		line += " " + shellWord(word)
	}
	for _, setting := range settings {
		line += " -set " + shellWord(setting)
	}
	return line
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=,+@%-]+$`)

// shellWord returns a text as a shell reads it: in quotes, if it has characters that mean something to the shell.
func shellWord(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
