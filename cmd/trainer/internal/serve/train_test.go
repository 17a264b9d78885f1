package serve

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"trainer/cmd/trainer/internal/cockpit"
)

// fakeWorkshop has one recipe and one run, and notes what it was asked to change.
type fakeWorkshop struct {
	mu      sync.Mutex
	live    *cockpit.Training
	changes []string
}

func (f *fakeWorkshop) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changes = append(f.changes, fmt.Sprintf(format, args...))
}

func (f *fakeWorkshop) known(name string) error {
	if name == "one/two" {
		return nil
	}
	return cockpit.Failf(cockpit.Missing, "no run of this name")
}

func (f *fakeWorkshop) Choices() cockpit.Choices { return cockpit.Choices{CanStart: true} }

func (f *fakeWorkshop) Recipe(name string) (string, error) {
	if name == "mnist" {
		return "epochs = 1", nil
	}
	return "", cockpit.Failf(cockpit.Missing, "no recipe of this name")
}

func (f *fakeWorkshop) Check(text string) []cockpit.Mistake {
	return []cockpit.Mistake{{Line: len(text), Text: "too long"}}
}

func (f *fakeWorkshop) Preview(ctx context.Context, p cockpit.Plan) (*cockpit.Preview, error) {
	if p.Data == "slow" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &cockpit.Preview{Table: p.Data}, nil
}

func (f *fakeWorkshop) Start(p cockpit.Plan) (string, error) {
	if p.Data == "busy" {
		return "", cockpit.Failf(cockpit.Busy, "a training is running")
	}
	f.note("start %s", p.Data)
	return "one/two", nil
}

func (f *fakeWorkshop) Resume(name string) error {
	if err := f.known(name); err != nil {
		return err
	}
	f.note("resume")
	return nil
}

func (f *fakeWorkshop) Runs(context.Context) ([]cockpit.Run, error) {
	return []cockpit.Run{{Name: "one/two"}}, nil
}

func (f *fakeWorkshop) Record(_ context.Context, name string) (*cockpit.Record, error) {
	return &cockpit.Record{Config: "x"}, f.known(name)
}

func (f *fakeWorkshop) Histograms(_ context.Context, name string) (*cockpit.Histograms, error) {
	return &cockpit.Histograms{Step: 7, Last: []cockpit.Histogram{{Name: "w", Counts: []float32{1, 2}}}, First: []cockpit.Histogram{{Counts: []float32{3}}}}, f.known(name)
}

func (f *fakeWorkshop) Rename(_ context.Context, name, to string) error {
	if err := f.known(name); err != nil {
		return err
	}
	f.note("rename %s", to)
	return nil
}

func (f *fakeWorkshop) Delete(_ context.Context, name string) error {
	if err := f.known(name); err != nil {
		return err
	}
	f.note("delete")
	return nil
}

// openRun returns the network of a run.
func (f *fakeWorkshop) openRun(_ context.Context, name string) (*Network, error) {
	return &Network{Name: "runs/one", Run: true}, f.known(name)
}

func (f *fakeWorkshop) Live() *cockpit.Training {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live
}

func (f *fakeWorkshop) train(t *cockpit.Training) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = t
}

// TestTrainRoutes has the answers and the refusals of the Train part's routes.
func TestTrainRoutes(t *testing.T) {
	s := start(t, "", nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/api/train/choices", "", 200, `"can_start":true`},
		{"POST", "/api/train/choices", "", 405, "GET"},
		{"GET", "/api/train/recipes/mnist", "", 200, "epochs = 1"},
		{"GET", "/api/train/recipes/..%2f..%2fetc", "", 404, "no recipe"},
		{"POST", "/api/train/recipes/mnist", "", 405, "GET"},
		{"POST", "/api/train/check", `{"recipe":"abc"}`, 200, `[{"line":3,"text":"too long"}]`},
		{"POST", "/api/train/check", `{`, 400, "not the JSON"},
		{"POST", "/api/train/check", `{"recipe":"` + strings.Repeat("x", maxPlan) + `"}`, 400, "not the JSON"},
		{"GET", "/api/train/check", "", 405, "POST"},
		{"POST", "/api/train/preview", `{"data":"d"}`, 200, `"table":"d"`},
		{"POST", "/api/train/preview", `[]`, 400, "not the JSON"},
		{"GET", "/api/train/preview", "", 405, "POST"},
		{"POST", "/api/train/start", `{"data":"busy"}`, 409, "a training is running"},
		{"POST", "/api/train/start", `{"seed":-1}`, 400, "not the JSON"},
		{"POST", "/api/train/start", `{"data":"d"}`, 200, `"run":"one/two"`},
		{"GET", "/api/train/start", "", 405, "POST"},
		{"GET", "/api/runs", "", 200, `"name":"one/two"`},
		{"DELETE", "/api/runs", "", 405, "GET"},
		{"GET", "/api/runs/one%2ftwo", "", 200, `"config":"x"`},
		{"GET", "/api/runs/one%2f..%2f..%2fetc", "", 404, "no run"},
		{"GET", "/api/runs/%2e%2e", "", 404, ""},
		{"POST", "/api/runs/one%2ftwo", "", 405, "GET"},
		{"GET", "/api/runs/one%2ftwo/histograms", "", 200, `{"lengths":[2,1],"info":{"step":7,"last":[{"name":"w"`},
		{"GET", "/api/runs/other/histograms", "", 404, "no run"},
		{"POST", "/api/runs/one%2ftwo/histograms", "", 405, "GET"},
		{"POST", "/api/runs/other/resume", "", 404, "no run"},
		{"POST", "/api/runs/one%2ftwo/resume", "", 200, ""},
		{"GET", "/api/runs/one%2ftwo/resume", "", 405, "POST"},
		{"POST", "/api/runs/other/rename", `{"name":"x"}`, 404, "no run"},
		{"POST", "/api/runs/one%2ftwo/rename", `no`, 400, "not the JSON"},
		{"POST", "/api/runs/one%2ftwo/rename", `{"name":"x"}`, 200, `"run":"x"`},
		{"GET", "/api/runs/one%2ftwo/rename", "", 405, "POST"},
		{"POST", "/api/runs/other/delete", "", 404, "no run"},
		{"POST", "/api/runs/one%2ftwo/delete", "", 200, ""},
		{"GET", "/api/runs/one%2ftwo/delete", "", 405, "POST"},
		{"POST", "/api/runs/other/learn", "", 404, "no run"},
		{"POST", "/api/runs/one%2ftwo/learn", "", 200, `"name":"runs/one"`},
		{"GET", "/api/runs/one%2ftwo/learn", "", 405, "POST"},
		{"GET", "/api/training", "", 200, "null"},
		{"POST", "/api/training", "", 405, "GET"},
		{"POST", "/api/training/order", `{"action":"pause"}`, 404, "no training"},
		{"POST", "/api/training/order", `{`, 400, "not the JSON"},
		{"GET", "/api/training/order", "", 405, "POST"},
		{"GET", "/api/training/answers", "", 404, "no training"},
		{"POST", "/api/training/answers", "", 405, "GET"},
		{"GET", "/api/training/histograms", "", 404, "no training"},
		{"POST", "/api/training/histograms", "", 405, "GET"},
		{"POST", "/api/training/events", "", 405, "GET"},
	} {
		status, body := do(t, request(t, c.method, s.url+c.path, []byte(c.body)))
		if status != c.status || !strings.Contains(body, c.want) || status >= 400 && !strings.HasPrefix(body, `{"error":"`) {
			t.Errorf("%s %s %.40s: status %d, %.200s, want %d and %q", c.method, c.path, c.body, status, body, c.status, c.want)
		}
		// No page of another site, and none by another name, may ask.
		for _, header := range [][2]string{{"Origin", "http://attacker.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Host", "attacker.example"}} {
			if c.method == "GET" && header[0] == "Origin" {
				continue // it changes nothing, and the browser keeps the answer from the page
			}
			if status, body := do(t, request(t, c.method, s.url+c.path, []byte(c.body), header[0], header[1])); status != 403 && status != 421 {
				t.Errorf("%s %s with %v: status %d, %.100s", c.method, c.path, header, status, body)
			}
		}
	}
	if want := []string{"start d", "resume", "rename x", "delete"}; fmt.Sprint(s.workshop.changes) != fmt.Sprint(want) {
		t.Errorf("changed %v, want %v", s.workshop.changes, want)
	}
	training, _ := cockpit.New(t.Context(), "one/two")
	s.workshop.train(training)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/api/training", "", 200, `"phase":"preparing"`},
		{"POST", "/api/training/order", `{"action":"pause"}`, 409, "not begun"},
		{"GET", "/api/training/answers", "", 404, "no evaluation"},
		{"GET", "/api/training/histograms", "", 200, `"step":0`},
	} {
		if status, body := do(t, request(t, c.method, s.url+c.path, []byte(c.body))); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: status %d, %.200s, want %d and %q", c.method, c.path, status, body, c.status, c.want)
		}
	}
}

// eventsOf opens the stream of events and returns a function that waits for an event whose line of data has a text.
func eventsOf(t *testing.T, s *running) func(want string) bool {
	t.Helper()
	response, err := http.Get(s.url + eventsPath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("status %d, %s", response.StatusCode, kind)
	}
	lines := bufio.NewScanner(response.Body)
	return func(want string) bool {
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return true
			}
		}
		return false
	}
}

// TestEvents: a page gets the events of the training, and of the next one, for longer than any other answer may take, until
// the server ends.
func TestEvents(t *testing.T) {
	s := start(t, "", func(l *Limits) {
		l.Streams = 2
		l.AnswerTime, l.ReadTime, l.WriteTime = 300*time.Millisecond, 300*time.Millisecond, 300*time.Millisecond
	})
	next := eventsOf(t, s)
	if !next("event: hello") {
		t.Fatal("no hello")
	}
	first, _ := cockpit.New(t.Context(), "first")
	s.workshop.train(first)
	if !next(`"run":"first"`) {
		t.Fatal("the training that begins is not told")
	}
	time.Sleep(500 * time.Millisecond)
	first.Note("a note")
	if !next("a note") {
		t.Fatal("the limits of time ended the events")
	}
	second, _ := cockpit.New(t.Context(), "second")
	s.workshop.train(second)
	if !next(`"run":"second"`) {
		t.Fatal("the next training is not told")
	}
	eventsOf(t, s)
	if status, body := do(t, request(t, "GET", s.url+eventsPath, nil)); status != 503 {
		t.Errorf("a third page: status %d, %s", status, body)
	}
	second.End(cockpit.Failed, "the end")
	begun := time.Now()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if !next("the end") || next("more") {
		t.Error("the last event is missing, or the stream goes on")
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
}
