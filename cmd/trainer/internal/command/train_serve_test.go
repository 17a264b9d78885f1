package command

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trainer/cmd/trainer/internal/cockpit"
)

// shownPage asks the server of trainer -serve.
type shownPage struct {
	*testing.T
	address string // which ends with a slash
}

// order gives an order until the training has begun, and returns the answer.
func (p *shownPage) order(text string) (status int, body string) {
	p.Helper()
	for range 3000 {
		response, err := http.Post(p.address+"api/training/order", "application/json", strings.NewReader(text))
		if err != nil {
			p.Fatal(err)
		}
		content, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if status, body = response.StatusCode, string(content); !strings.Contains(body, "not begun yet") {
			return status, body
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.Fatalf("the training doesn't begin: %s", body)
	return 0, ""
}

// until waits for a state.
func (p *shownPage) until(what string, ok func(cockpit.State) bool) cockpit.State {
	p.Helper()
	var now struct{ State cockpit.State }
	for range 6000 {
		response, err := http.Get(p.address + "api/training")
		if err != nil {
			p.Fatal(err)
		}
		err = json.NewDecoder(response.Body).Decode(&now)
		response.Body.Close()
		if err != nil {
			p.Fatal(err)
		}
		if ok(now.State) {
			return now.State
		}
		time.Sleep(5 * time.Millisecond)
	}
	p.Fatalf("%s: the state stays %+v", what, now.State)
	return now.State
}

// TestServeSeveralRuns: a page pauses, continues and stops the runs of -runs and -folds one after the other, and a line says what it
// can't do. A page that is closed changes nothing.
func TestServeSeveralRuns(t *testing.T) {
	for _, c := range []struct{ flag, first, second string }{
		{"-runs", "seed-0", "seed-1"},
		{"-folds", "fold-1", "fold-2"},
	} {
		t.Run(c.flag, func(t *testing.T) {
			workplace(t)
			out, written := io.Pipe()
			p := testProgram()
			p.stdout, p.stderr, p.now = io.Discard, written, time.Now
			status := make(chan int, 1)
			go func() {
				status <- run(context.Background(), p, []string{"-recipe", "small.toml", "-data", "pictures", "-device", "cpu", "-out", "all", "-epochs", "1e6", c.flag, "2", "-serve", "127.0.0.1:0"})
				written.Close()
			}()
			lines := bufio.NewReader(out)
			address, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			go io.Copy(io.Discard, lines)
			page := &shownPage{t, strings.TrimSpace(address)}
			events, err := http.Get(page.address + "api/training/events")
			if err != nil {
				t.Fatal(err)
			}
			page.order(`{"action":"pause"}`)
			s := page.until("pausing", func(s cockpit.State) bool { return s.Phase == cockpit.Paused })
			if s.Run != c.first || s.SavedStep != s.Step || s.CanSteer || !strings.Contains(strings.Join(s.Notes, "\n"), "Stop ends the present one") {
				t.Errorf("%+v", s)
			}
			if code, body := page.order(`{"action":"rate","factor":0.5}`); code != http.StatusBadRequest || !strings.Contains(body, "training of one run") {
				t.Errorf("status %d, %s", code, body)
			}
			events.Body.Close() // as when the page is closed
			page.order(`{"action":"continue"}`)
			page.until("going on", func(now cockpit.State) bool { return now.Step > s.Step })
			page.order(`{"action":"stop"}`)
			page.until("the second run", func(s cockpit.State) bool { return s.Run == c.second && s.Phase == cockpit.Running && s.Step > 0 })
			page.order(`{"action":"stop"}`)
			if got := <-status; got != exitOK {
				t.Errorf("status %d", got)
			}
			for _, name := range []string{c.first, c.second} {
				if s := readJSON(t, filepath.Join("all", name, "summary.json")); s["stopped"] != "by hand" || s["complete"] != true {
					t.Errorf("%s: %v", name, s)
				}
			}
		})
	}
}
