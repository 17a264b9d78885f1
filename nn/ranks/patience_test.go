package ranks

import (
	"testing"
	"time"
)

func TestPatience(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 20 * time.Second, "1m": time.Minute, "300ms": 300 * time.Millisecond} {
		if got, err := Patience(func(string) string { return text }); err != nil || got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"60", "soon", "0s", "-1s"} {
		if _, err := Patience(func(string) string { return text }); err == nil || err.Error() != "the environment variable TRAINER_RANK_PATIENCE is \""+text+"\", want a time such as 60s" {
			t.Errorf("%q: %v", text, err)
		}
	}
}
