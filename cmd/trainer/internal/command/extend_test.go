package command

import (
	"regexp"
	"strings"
	"testing"
)

func TestARunIsMadeLonger(t *testing.T) {
	trainedRun(t)
	const constant = "schedule.kind=constant"
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-set", constant, "-epochs", "5", "-out", "long", "-quiet"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	got := trainer(t, "-resume", "run", "-epochs", "5", "-quiet")
	want := regexp.MustCompile(`^trainer: 30 steps instead of 18: the learning rate was 0\.05 after step 18, continues with 0\.05 and ends with 0\.05\n$`)
	if got.status != exitOK || !want.MatchString(got.stderr) {
		t.Errorf("%+v", got)
	}
	if !equal(tensorOf(t, "run", "conv1.weight"), tensorOf(t, "long", "conv1.weight")) {
		t.Error("the weights differ from those of a long run")
	}
	config := read(t, "run/config.toml")
	for _, want := range []string{"epochs = 5", "planned-epochs = 3.0"} {
		if !strings.Contains(config, want) {
			t.Errorf("the configuration lacks %q:\n%s", want, config)
		}
	}
	if n := strings.Count(read(t, "run/metrics.jsonl"), "\n"); n != 5 {
		t.Errorf("%d epochs in the metrics", n)
	}
	refused(t, trainer(t, "-resume", "run", "-epochs", "4"), "epochs: 4, and the run has done 5 already")
	if got := trainer(t, "-resume", "run", "-quiet"); got.status != exitOK || got.stderr != "" {
		t.Errorf("resumed without -epochs: %+v", got)
	}
}

// Of several runs, those that came to their end are continued too.
func TestRunsAreMadeLonger(t *testing.T) {
	workplace(t)
	if got := trainer(t, "-data", "pictures", "-recipe", "small.toml", "-epochs", "1", "-runs", "2", "-out", "runs", "-quiet"); got.status != exitOK {
		t.Fatalf("%+v", got)
	}
	if got := trainer(t, "-resume", "runs", "-epochs", "2", "-quiet"); got.status != exitOK || strings.Count(got.stderr, "12 steps instead of 6") != 2 {
		t.Errorf("%+v", got)
	}
	if got := trainer(t, "-resume", "runs", "-quiet"); got.status != exitOK || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}
