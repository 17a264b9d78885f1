// Command clients asks a server about pictures, as many programs at the same time would, for bench/peers/serve.py. Each client sends
// POST URL with a PNG file, waits for the answer, and sends the next one on the same connection.
//
// It prints one line of JSON: how many pictures were answered in how many seconds, the times of the answers, and
// with -answers every picture's class and its probability.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// options are the command line.
type options struct {
	url, pictures string
	clients       int
	duration      time.Duration
	answers       bool
}

// result is what is printed.
type result struct {
	Pictures int      `json:"pictures"`
	Seconds  float64  `json:"seconds"`
	Median   float64  `json:"median_seconds"` // of an answer
	Slow     float64  `json:"p99_seconds"`
	Failed   int      `json:"failed"`
	Failure  string   `json:"failure,omitempty"` // the first
	Answers  []answer `json:"answers,omitempty"` // in the order of the files' names
}

// answer is the part of a server's answer that is compared.
type answer struct {
	Class       string  `json:"class"`
	Probability float64 `json:"probability"`
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "", "`address` to send pictures to")
	flag.StringVar(&o.pictures, "pictures", "", "`folder` of PNG files")
	flag.IntVar(&o.clients, "clients", 1, "clients at the same time")
	flag.DurationVar(&o.duration, "duration", 5*time.Second, "how long they ask")
	flag.BoolVar(&o.answers, "answers", false, "ask about each picture once, and print the answers")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func run(o options) error {
	files, err := readAll(o.pictures)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: o.clients, MaxConnsPerHost: o.clients}
	defer transport.CloseIdleConnections()
	asker := &asker{client: &http.Client{Transport: transport, Timeout: time.Minute}, url: o.url, files: files}
	if o.answers {
		return asker.printAnswers()
	}
	return json.NewEncoder(os.Stdout).Encode(asker.load(o.clients, o.duration))
}

// readAll reads the PNG files of a folder, in the order of their names.
func readAll(folder string) ([][]byte, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.png"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("%s has no PNG files", folder)
	}
	var files [][]byte
	for _, name := range names {
		file, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, err
}

// asker sends pictures.
type asker struct {
	client *http.Client
	url    string
	files  [][]byte
}

// ask sends picture n and returns the body of the answer.
func (a *asker) ask(n int) ([]byte, error) {
	response, err := a.client.Post(a.url, "image/png", bytes.NewReader(a.files[n%len(a.files)]))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %.200s", response.StatusCode, body)
	}
	return body, err
}

// printAnswers asks about each picture once.
func (a *asker) printAnswers() error {
	var r result
	for n := range a.files {
		body, err := a.ask(n)
		if err != nil {
			return err
		}
		var got answer
		if err := json.Unmarshal(body, &got); err != nil {
			return err
		}
		r.Answers = append(r.Answers, got)
	}
	r.Pictures = len(r.Answers)
	return json.NewEncoder(os.Stdout).Encode(r)
}

// load lets clients ask for some time.
func (a *asker) load(clients int, duration time.Duration) result {
	var (
		r    result
		next atomic.Int64
		mu   sync.Mutex
		all  sync.WaitGroup
		took []time.Duration
	)
	begun := time.Now()
	for range clients {
		all.Go(func() {
			var mine []time.Duration
			for time.Since(begun) < duration {
				sent := time.Now()
				if _, err := a.ask(int(next.Add(1))); err != nil {
					mu.Lock()
					r.Failed++
					if r.Failure == "" {
						r.Failure = err.Error()
					}
					mu.Unlock()
					continue
				}
				mine = append(mine, time.Since(sent))
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, mine...)
		})
	}
	all.Wait()
	r.Pictures, r.Seconds = len(took), time.Since(begun).Seconds()
	if slices.Sort(took); len(took) > 0 {
		r.Median, r.Slow = took[len(took)/2].Seconds(), took[len(took)*99/100].Seconds()
	}
	return r
}
