package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// refusal is an error that a client gets, with its status.
type refusal struct {
	status int
	reason string // a word for the metrics
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, reason, format string, args ...any) *refusal {
	return &refusal{status, reason, fmt.Sprintf(format, args...)}
}

// errBusy is the answer if the memory for requests is used up.
var errBusy error = &refusal{http.StatusServiceUnavailable, "busy", "the server is busy: try again in a second"}

// refusalOf words an error for a client. Errors of the engine are internal: the client hears no more than that.
func refusalOf(err error) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return refuse(http.StatusRequestEntityTooLarge, "size", "the request is larger than %d MiB", large.Limit>>20)
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return refuse(http.StatusServiceUnavailable, "time", "computing the answer took too long")
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse(http.StatusRequestTimeout, "slow", "the request arrived too slowly")
	case errors.Is(err, context.Canceled), errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(http.StatusBadRequest, "gone", "the request ended too early")
	}
	return refuse(http.StatusInternalServerError, "internal", "internal error; the server's log has more")
}

// send writes a refusal as JSON.
func (s *Server) send(w http.ResponseWriter, r *http.Request, err error) {
	why := refusalOf(err)
	s.metrics.refused.WithLabelValues(why.reason).Inc()
	if why.status == http.StatusInternalServerError {
		s.log("%s %s: %v", r.Method, r.URL.Path, err)
	}
	if why.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	sendJSON(w, why.status, struct {
		Error string `json:"error"`
	}{why.text})
}

// sendJSON writes a value as one line of JSON. A client that doesn't take it is no error of the server's.
func sendJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
