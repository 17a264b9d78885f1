package serve

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEveryRouteRefuses goes through the routes themselves, so that a new one can't be forgotten: other methods, other hosts, pages of
// other sites, no token, and a body that is larger than any that a route takes.
func TestEveryRouteRefuses(t *testing.T) {
	const token = "0123456789abcdef"
	open, closed := start(t, "", nil), start(t, token, nil)
	paths := slices.Sorted(maps.Keys(open.server.paths))
	if len(paths) < 30 {
		t.Fatalf("only %d routes: %v", len(paths), paths)
	}
	for _, pattern := range paths {
		method := open.server.paths[pattern]
		path := strings.NewReplacer("{$}", "", "{name}", "x", "{id}", "x").Replace(pattern)
		refused := func(s *running, what, method string, body []byte, want string, headers ...string) {
			t.Helper()
			response, err := http.DefaultTransport.RoundTrip(request(t, method, s.url+path, body, headers...))
			if err != nil {
				t.Errorf("%s %s, %s: %v", method, path, what, err)
				return
			}
			defer response.Body.Close()
			text, _ := io.ReadAll(response.Body)
			var got struct{ Error string }
			if json.Unmarshal(text, &got) != nil || got.Error == "" || strings.Count(string(text), "\n") != 1 {
				t.Errorf("%s %s, %s: %q is not a line of JSON with an error", method, path, what, text)
			}
			if status := fmt.Sprint(response.StatusCode); !strings.Contains(want, status) || !strings.Contains(response.Header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s %s, %s: status %s, %q, want %s", method, path, what, status, text, want)
			}
		}
		for _, other := range []string{"GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
			if other == method {
				continue
			}
			want := "405"
			if path == "/" {
				want = "404"
			}
			refused(open, "another method", other, nil, want)
		}
		refused(open, "another host", method, nil, "421", "Host", "attacker.example")
		refused(open, "another site's fetch", method, nil, "403", "Sec-Fetch-Site", "cross-site")
		refused(open, "a page of another port", method, nil, "403", "Sec-Fetch-Site", "same-site")
		if method == "POST" {
			refused(open, "another origin", method, nil, "403", "Origin", "http://attacker.example")
			refused(open, "an origin of another port", method, nil, "403", "Origin", "http://127.0.0.1:1")
			refused(open, "a large body", method, make([]byte, 1<<20), "400 404 410 413 422")
		}
		if pattern == healthPath {
			continue
		}
		refused(closed, "no token", method, nil, "401")
		refused(closed, "another token", method, nil, "401", "Authorization", "Bearer "+token+"x")
		refused(closed, "another cookie", method, nil, "401", "Cookie", closed.server.guard.cookie+"=x")
	}
}

// TestAnswersAreCounted: answers that clients don't take are memory of their requests, and beyond the limit there are refusals.
func TestAnswersAreCounted(t *testing.T) {
	s := start(t, "", func(l *Limits) { l.Bodies = 300 << 10 })
	path := strings.TrimPrefix(openedSession(t, s, "net"), s.url) + "forward"
	picture := make([]byte, 12*12)
	status, reply := do(t, request(t, "POST", s.url+path, picture))
	if status != http.StatusOK {
		t.Fatalf("status %d, %s", status, reply)
	}
	if !s.server.bodies.free.TryAcquire(s.server.limits.Bodies - int64(len(reply))) {
		t.Fatal("memory was not given back")
	}
	if status, body := do(t, request(t, "POST", s.url+path, picture)); status != http.StatusServiceUnavailable || !strings.Contains(body, "busy") {
		t.Errorf("without memory for the answer: status %d, %.100s", status, body)
	}
	s.server.bodies.free.Release(s.server.limits.Bodies - int64(len(reply)))
	if status, _ := do(t, request(t, "POST", s.url+path, picture)); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
}

// TestLargeAnswersWait: only as many answers of megabytes are made at once as there are processors, and who waits for longer than an
// answer may take is refused.
func TestLargeAnswersWait(t *testing.T) {
	s := start(t, "", func(l *Limits) { l.AnswerTime = 50 * time.Millisecond })
	for range cap(s.server.making) {
		s.server.making <- struct{}{}
	}
	for _, path := range []string{"/api/runs/one%2ftwo", "/api/runs/one%2ftwo/histograms", "/api/training", "/api/networks/net/samples?from=0&count=1"} {
		if status, body := do(t, request(t, "GET", s.url+path, nil)); status != http.StatusServiceUnavailable || !strings.Contains(body, "too long") {
			t.Errorf("%s: status %d, %s", path, status, body)
		}
	}
	if status, _ := do(t, request(t, "GET", s.url+"/api/runs", nil)); status != http.StatusOK {
		t.Errorf("a small answer: status %d", status)
	}
}
