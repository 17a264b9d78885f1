package serve

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/net/netutil"

	"trainer/cmd/trainer/internal/cockpit"
)

// Config is what trainer serve decides.
type Config struct {
	Models   []Model          // of /predict, on one device, which the server uses for one of them at a time
	Networks []Network        // of the page, on another device
	Workshop cockpit.Workshop // of the page's Train part; nil without it
	// OpenRun returns the network that a run of the workshop trained, for the Learn part. The server calls it while nothing
	// else uses the page's device. It may be nil.
	OpenRun func(ctx context.Context, run string) (*Network, error)
	Token   string   // "" lets everyone on this machine in; a server that others can reach must have one
	Hosts   []string // names of this server besides localhost
	Limits  Limits
	// Address is the one that the server listens on. If other machines can reach it, Token must not be empty.
	Address net.Addr
	Log     func(format string, args ...any) // a line for whoever runs the server
}

// Server answers requests.
type Server struct {
	models  []*served
	limits  Limits
	guard   *guard
	metrics *metrics
	log     func(format string, args ...any)
	bodies  *budget
	decode  chan struct{} // one place for each picture that may be decoded at the same time
	making  chan struct{} // one place for each large answer that may be made at the same time
	mux     *http.ServeMux
	paths   map[string]string // the methods of the paths

	answering engine     // the device of /predict
	showing   engine     // the device of the page, so that neither waits for the other
	mu        sync.Mutex // guards networks
	networks  []Network
	openRun   func(ctx context.Context, run string) (*Network, error)
	sessions  sessions

	workshop cockpit.Workshop
	streams  chan struct{} // one place for each page that gets events
	stopping chan struct{} // closed when the server is asked to stop
}

// New returns a server of the models.
func New(c Config) *Server {
	s := &Server{
		limits:  c.Limits,
		guard:   newGuard(c),
		metrics: newMetrics(),
		log:     c.Log,
		bodies:  newBudget(c.Limits.Bodies),
		decode:  make(chan struct{}, decoders()),
		making:  make(chan struct{}, decoders()),
		mux:     http.NewServeMux(),
		paths:   map[string]string{},

		networks: c.Networks,
		openRun:  c.OpenRun,
		sessions: sessions{max: c.Limits.Sessions, maxBytes: c.Limits.SessionBytes},

		workshop: c.Workshop,
		streams:  make(chan struct{}, c.Limits.Streams),
		stopping: make(chan struct{}),
	}
	for _, m := range c.Models {
		s.models = append(s.models, s.serve(m))
	}
	s.routes()
	return s
}

// routes says which handler answers which path.
func (s *Server) routes() {
	s.pageRoutes()
	s.learnRoutes()
	if s.workshop != nil {
		s.trainRoutes()
		if s.openRun != nil {
			s.handle("POST", "/api/runs/{name}/learn", s.answer(s.learnRun))
		}
	}
	s.handle("POST", "/predict", s.predict)
	s.handle("GET", healthPath, s.health)
	s.handle("GET", "/metrics", s.metrics.handler().ServeHTTP)
	s.mux.Handle("/", s.metrics.measured("none", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.send(w, r, refuse(http.StatusNotFound, "path", "there is nothing at this path"))
	})))
}

// handle lets a function answer one method of a path, and refuses the others.
func (s *Server) handle(method, path string, f http.HandlerFunc) {
	s.paths[path] = method
	s.mux.Handle(method+" "+path, s.metrics.measured(path, f))
	if path == "/{$}" {
		return // the refusal of unknown paths covers the other methods
	}
	s.mux.Handle(path, s.metrics.measured(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", method)
		s.send(w, r, refuse(http.StatusMethodNotAllowed, "method", "the method of this path is %s", method))
	})))
}

// handler returns all of the server except the limits of connections.
func (s *Server) handler() http.Handler {
	return s.contain(s.let(s.timed(s.counted(s.mux))))
}

// contain turns a panic of a handler into an error: a request must not end the server.
func (s *Server) contain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w}
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.log("internal error: %s %s: %v; please report it\n%s", r.Method, r.URL.Path, p, debug.Stack())
			if seen.status == 0 {
				s.send(w, r, fmt.Errorf("panic: %v", p))
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// timed bounds the time of an answer, except of events.
func (s *Server) timed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == eventsPath {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), s.limits.AnswerTime)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// Serve answers requests until ctx is done. Then it gives the answers that it has begun, and returns nil.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:                      s.handler(),
		MaxHeaderBytes:               s.limits.Header,
		ReadHeaderTimeout:            s.limits.HeaderTime,
		ReadTimeout:                  s.limits.ReadTime,
		WriteTimeout:                 s.limits.WriteTime,
		IdleTimeout:                  s.limits.IdleTime,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(logWriter{s.log}, "", 0),
	}
	var computing sync.WaitGroup
	running, stop := context.WithCancel(context.Background())
	for _, m := range s.models {
		if m.batcher != nil {
			computing.Go(func() { m.batcher.run(running) })
		}
	}
	stopped := make(chan struct{})
	release := context.AfterFunc(ctx, func() {
		defer close(stopped)
		close(s.stopping)
		patience, cancel := context.WithTimeout(context.Background(), s.limits.StopTime)
		defer cancel()
		if server.Shutdown(patience) != nil {
			server.Close() // clients that don't take their answers
		}
	})
	err := server.Serve(netutil.LimitListener(l, s.limits.Connections))
	if !release() {
		<-stopped
		err = nil
	}
	stop()
	computing.Wait()
	s.sessions.close()
	return err
}

// IsLoopback reports whether only programs on this machine can reach an address.
func IsLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// logWriter writes the lines of package http to the log.
type logWriter struct {
	log func(format string, args ...any)
}

func (l logWriter) Write(p []byte) (int, error) {
	l.log("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

// healthPath is where a supervisor asks whether the server works. It needs no token, and reveals nothing else.
const healthPath = "/healthz"

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	status, text := http.StatusOK, "ok"
	if s.answering.failed.Load() || s.showing.failed.Load() {
		status, text = http.StatusServiceUnavailable, "the device failed: start the program again"
	}
	sendJSON(w, status, struct {
		Status string `json:"status"`
	}{text})
}
