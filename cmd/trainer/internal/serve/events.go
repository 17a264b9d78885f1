package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"trainer/cmd/trainer/internal/cockpit"
)

// The events of the training as server-sent events (the HTML standard, section 9.2): "event: KIND", "data: JSON", and an empty
// line. A page that falls behind is cut off; its browser connects again, and it asks for the whole state.

// eventsPath is the path of the events. Its answers last, so that the limits of time don't hold for it.
const eventsPath = "/api/training/events"

// The times of a stream of events.
const (
	eventLook  = time.Second      // until another training is noticed
	eventAlive = 15 * time.Second // between two signs of life
	eventWrite = 10 * time.Second // for an event to be taken
)

// stream writes events to one page.
type stream struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	lastSent time.Time
}

// events sends what happens to the training, and to the next ones.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.send(w, r, errBusy)
		return
	}
	out := &stream{w: w, control: http.NewResponseController(w)}
	if out.control.SetReadDeadline(time.Time{}) != nil { // otherwise the server would end the request
		s.send(w, r, fmt.Errorf("the connection has no deadlines"))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if out.send("hello", struct{}{}) != nil {
		return
	}
	look := time.NewTicker(eventLook)
	defer look.Stop()
	for {
		t := s.workshop.Live()
		if err := s.follow(r, out, t, look.C); err != nil {
			return
		}
	}
}

// follow sends the events of a training, which may be nil, until there is another one. An error ends the stream.
func (s *Server) follow(r *http.Request, out *stream, t *cockpit.Training, look <-chan time.Time) error {
	var events <-chan cockpit.Event // nil without a training
	if t != nil {
		l := t.Listen()
		defer t.StopListening(l)
		events = l.Events()
		if err := out.send("state", t.State()); err != nil {
			return err
		}
	}
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return fmt.Errorf("the page fell behind")
			}
			if err := out.send(e.Kind, e.Data); err != nil {
				return err
			}
		case <-look:
			if s.workshop.Live() != t {
				return nil
			}
			if time.Since(out.lastSent) >= eventAlive {
				if err := out.send("alive", struct{}{}); err != nil {
					return err
				}
			}
		case <-s.stopping:
			out.rest(events)
			return http.ErrServerClosed
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// rest sends what has happened before the end.
func (o *stream) rest(events <-chan cockpit.Event) {
	for {
		select {
		case e, ok := <-events:
			if !ok || o.send(e.Kind, e.Data) != nil {
				return
			}
		default:
			return
		}
	}
}

// send writes an event.
func (o *stream) send(kind string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	o.lastSent = time.Now()
	if err := o.control.SetWriteDeadline(o.lastSent.Add(eventWrite)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.w, "event: %s\ndata: %s\n\n", kind, text); err != nil {
		return err
	}
	return o.control.Flush()
}
