package figure

import (
	"bytes"
	"testing"
)

func FuzzReadMetrics(f *testing.F) {
	f.Add([]byte(`{"epoch":1,"train_loss":1,"train_accuracy":0.5,"evaluated":true,"test_loss":2,"test_accuracy":0.5}` + "\n" + `{"epoch":2,"train_loss":1e308}` + "\n"))
	f.Add([]byte(`{"epoch":1e300}`))
	f.Add([]byte("\n\x00{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		epochs, err := ReadMetrics(bytes.NewReader(raw))
		if err != nil && epochs != nil {
			t.Fatal("epochs with an error")
		}
		if len(epochs) > 1+bytes.Count(raw, []byte("\n")) {
			t.Fatalf("%d epochs from %d lines", len(epochs), 1+bytes.Count(raw, []byte("\n")))
		}
	})
}
