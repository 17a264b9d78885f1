package command

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serving starts trainer serve on a free port of this machine. It returns the address that it prints, and a function that
// stops it and returns what it did.
func serving(t *testing.T, env map[string]string, args ...string) (address string, stop func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	read, written := io.Pipe()
	var stderr bytes.Buffer
	p := &program{
		Config: config(),
		stdout: written, stderr: &stderr,
		getenv: func(name string) string { return env[name] },
		now:    time.Now,
	}
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, p, append([]string{"serve", "-device", "cpu", "-listen", "127.0.0.1:0"}, args...))
		written.Close()
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	stop = func() outcome {
		cancel()
		return outcome{status: <-status, stdout: line, stderr: stderr.String()}
	}
	if err != nil {
		t.Fatalf("no address: %v, %+v", err, stop())
	}
	t.Cleanup(cancel)
	return strings.TrimSpace(line), stop
}

// TestServe: the answers over HTTP are the lines of trainer predict -json.
func TestServe(t *testing.T) {
	trainedRun(t)
	address, stop := serving(t, nil, "run", "run/model.safetensors")
	one := filepath.Join("pictures", "dark", "aa.png")
	want := trainer(t, "predict", "-json", "-device", "cpu", "run", one)
	file, err := os.ReadFile(one)
	if err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"", "?model=run", "?model=run-2"} {
		response, err := http.Post(address+"predict"+model, "image/png", bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if got := strings.Replace(string(body), `"path":""`, `"path":"`+one+`"`, 1); response.StatusCode != 200 || got != want.stdout {
			t.Errorf("%q: status %d, %s, want %s", model, response.StatusCode, body, want.stdout)
		}
	}
	if got := stop(); got.status != exitOK || got.stderr != "" {
		t.Errorf("stopped: %+v", got)
	}
}

func TestServeToken(t *testing.T) {
	trainedRun(t)
	address, stop := serving(t, map[string]string{"TRAINER_TOKEN": "0123456789abcdef"}, "run")
	if !strings.HasSuffix(address, "/?token=0123456789abcdef") {
		t.Errorf("address %s", address)
	}
	for _, c := range []struct {
		url  string
		want int
	}{{address, 200}, {strings.Replace(address, "token=0", "token=1", 1), 401}} {
		response, err := http.Get(c.url)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.url, response.StatusCode, c.want)
		}
	}
	stop()

	// Other machines can reach the server only with a token, and a line says that they can.
	address, stop = serving(t, nil, "-listen", "0.0.0.0:0", "run")
	if _, token, _ := strings.Cut(address, "?token="); len(token) < minToken {
		t.Errorf("address %s has no token", address)
	}
	if got := stop(); got.status != exitOK || !strings.Contains(got.stderr, "other machines can reach") {
		t.Errorf("%+v", got)
	}
}

func TestServeBadInput(t *testing.T) {
	trainedRun(t)
	write(t, "text", "no model")
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"small.toml"}, exitUsage, "recipe small doesn't set the size of its images"},
		{[]string{"nowhere.toml"}, exitUsage, "reading the recipe"},
		{[]string{"nowhere"}, exitUsage, "reading the model: stat nowhere: no such file or directory"},
		{[]string{"pictures"}, exitUsage, "the folder has no model"},
		{[]string{"text"}, exitUsage, "text"},
		{[]string{"run", "-data", "nowhere"}, exitUsage, "no such file or directory"},
		{[]string{"run", "-listen", "8080"}, exitUsage, "-listen 8080: want host:port, as in 127.0.0.1:8080"},
		{[]string{"run", "-listen", "127.0.0.1:http2"}, exitEnvironment, "-listen 127.0.0.1:http2"},
		{[]string{"run", "-token", "short"}, exitUsage, "-token: want at least 16 characters"},
		{[]string{"run", "-token", "with a space in it"}, exitUsage, "-token: want at least 16 characters"},
		{[]string{"run", "-host", "http://x"}, exitUsage, "want a name such as digits.example.org"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // should it serve
		got := trainerIn(ctx, nil, append([]string{"serve", "-device", "cpu"}, c.args...)...)
		cancel()
		if got.status != c.status || !strings.Contains(got.stderr, c.want) || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%q: %+v, want status %d and %q", c.args, got, c.status, c.want)
		}
	}
}
