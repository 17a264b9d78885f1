package site

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cpu"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// newEngine returns an engine of the untrained recipe mnist-basic on the pictures that the site brings.
func newEngine(t *testing.T) *Engine {
	t.Helper()
	mnist, err := data.Open(t.Context(), "mnist", data.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := WritePictures(mnist, dir); err != nil {
		t.Fatal(err)
	}
	split, err := data.Open(t.Context(), "mnist", data.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if split.Train.Len() != trainPictures || split.Test.Len() != testPictures {
		t.Fatalf("%d and %d pictures", split.Train.Len(), split.Test.Len())
	}
	var devices [2]device.Device
	for i := range devices {
		if devices[i], err = cpu.Kind().Open(0, device.Options{Threads: 1}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { devices[i].Close() })
	}
	e, err := New(Config{Learn: devices[0], Train: devices[1], Data: split, Recipes: []string{"mnist-basic"}})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestRefusals(t *testing.T) {
	e := newEngine(t)
	for _, c := range []struct {
		address, body string
		status        int
	}{
		{"api/networks", "", 200},
		{"api/nothing", "", 404},
		{"api/networks/other/picture", "", 404},
		{"api/networks/mnist-basic/samples?from=-1&count=1", "", 400},
		{"api/networks/mnist-basic/samples?from=1999&count=12", "", 200},
		{"api/sessions/1/forward", "", 410},
		{"api/sessions", `{"network":"other"}`, 404},
		{"api/sessions", `{"network":"mnist-basic"}`, 200},
		{"api/sessions/1/forward", "few", 400},
		{"api/sessions/1/backward", `{"label":3}`, 409},
		{"api/sessions/1/forward", strings.Repeat("a", 784), 200},
		{"api/sessions/1/nothing", "", 400},
		{"api/sessions/1/features", `{"from":0,"count":3}`, 200},
		{"api/sessions/1/maximum", `{"place":1,"channel":99}`, 400},
		{"api/networks/worked-example/samples?from=0&count=12", "", 200},
		{"api/networks/other/samples?from=0&count=12", "", 404},
		{"api/sessions/1/picture", "no picture", 422},
		{"api/training", "", 200},
		{"api/training/order", `{"action":"stop"}`, 404},
		{"api/train/start", `{"recipe":"epochs = -1","data":"mnist"}`, 400},
		{"api/train/start", `{"recipe":"","data":"elsewhere"}`, 400},
		{"api/runs/none", "", 404},
		{"api/runs/none/histograms", "", 404},
		{"api/runs/none/resume", "", 400},
	} {
		if status, content := e.Answer(c.address, []byte(c.body)); status != c.status || status != 200 && !strings.HasPrefix(string(content), `{"error":"`) {
			t.Errorf("%s %.40s: status %d, %.80s, want %d", c.address, c.body, status, content, c.status)
		}
	}
}

// TestTraining begins a training whose events arrive, and opens its network.
func TestTraining(t *testing.T) {
	e := newEngine(t)
	over := make(chan cockpit.State, 1)
	go e.Follow(func(_ string, data any) {
		if s, ok := data.(cockpit.State); ok && s.Phase.Over() {
			over <- s
		}
	})
	text, err := recipe.Source("mnist-basic")
	if err != nil {
		t.Fatal(err)
	}
	plan, err := json.Marshal(cockpit.Plan{Recipe: strings.Replace(string(text), "epochs = 3", "epochs = 0.1", 1), Data: "mnist", Name: "a/b"})
	if err != nil {
		t.Fatal(err)
	}
	if status, content := e.Answer("api/train/start", plan); status != 200 {
		t.Fatalf("%d: %s", status, content)
	}
	select {
	case s := <-over:
		if s.Phase != cockpit.Finished || s.Step != 13 {
			t.Fatalf("%+v", s)
		}
	case <-time.After(time.Minute):
		t.Fatal("no end")
	}
	for _, address := range []string{"api/training/answers", "api/training/histograms", "api/runs/a%2Fb", "api/runs/a%2Fb/histograms", "api/runs/a%2Fb/learn", "api/runs/a%2Fb/delete"} {
		if status, content := e.Answer(address, nil); status != 200 {
			t.Errorf("%s: %d, %.80s", address, status, content)
		}
	}
	if status, content := e.Answer("api/sessions", []byte(`{"network":"runs/a/b"}`)); status != 200 {
		t.Errorf("%d: %s", status, content)
	}
}
