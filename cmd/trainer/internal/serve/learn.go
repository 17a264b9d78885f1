package serve

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"trainer/cmd/trainer/internal/learn"
)

// What the Learn part of the page asks for. Requests that compute or change something are POST, so that no other site can
// send them. Package learn answers them; here they are found and bounded.

// learnRoutes says which handler answers which path.
func (s *Server) learnRoutes() {
	s.handle("GET", "/api/networks", s.answer(s.listNetworks))
	s.handle("GET", "/api/networks/{name}/samples", s.answer(s.large(s.samples)))
	s.handle("POST", "/api/sessions", s.answer(s.openSession))
	s.handle("POST", "/api/sessions/{id}/picture", s.picture)
	for action := range learn.Actions() {
		s.handle("POST", "/api/sessions/{id}/"+action, s.inSession(action))
	}
}

// listNetworks lists the networks.
func (s *Server) listNetworks(*http.Request) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]learn.Description, len(s.networks))
	for i := range s.networks {
		list[i] = s.networks[i].describe()
	}
	return list, nil
}

// answer returns a handler that sends f's value as JSON, or its error as a refusal.
func (s *Server) answer(f func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, err := f(r)
		var text []byte
		if err == nil {
			text, err = json.Marshal(value)
		}
		if err != nil {
			s.send(w, r, workshopError(err))
			return
		}
		s.sendCounted(w, r, "application/json", append(text, '\n'))
	}
}

// large is f for values of megabytes: only as many are made at the same time as there are processors. Then they are counted.
func (s *Server) large(f func(r *http.Request) (any, error)) func(r *http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		end, err := s.turn(r.Context())
		if err != nil {
			return nil, err
		}
		defer end()
		value, err := f(r)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(value)
		return json.RawMessage(text), err
	}
}

// turn waits until another large answer may be made. The caller calls end afterwards.
func (s *Server) turn(ctx context.Context) (end func(), err error) {
	select {
	case s.making <- struct{}{}:
		return func() { <-s.making }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sendCounted sends an answer that counts as memory of the request until the client has taken it.
func (s *Server) sendCounted(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	if err := shareOf(r).take(int64(len(body))); err != nil {
		s.send(w, r, err)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // a client that is gone is no error
}

// network returns the network of a name.
func (s *Server) network(name string) (*Network, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.networks {
		if n.Name == name {
			return &n, nil
		}
	}
	return nil, refuse(http.StatusNotFound, "network", "no network of this name")
}

// maxRunNetworks is the number of networks of runs that are kept.
const maxRunNetworks = 8

// learnRun adds the network of a run to those of the Learn part, and describes it.
func (s *Server) learnRun(r *http.Request) (any, error) {
	var n *Network
	err := s.showing.use(func() (err error) {
		n, err = s.openRun(r.Context(), r.PathValue("name"))
		return err
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.networks = slices.DeleteFunc(s.networks, func(old Network) bool { return old.Name == n.Name })
	isRun := func(old Network) bool { return old.Run }
	for old := slices.IndexFunc(s.networks, isRun); s.countRuns() >= maxRunNetworks; old = slices.IndexFunc(s.networks, isRun) {
		s.networks = slices.Delete(s.networks, old, old+1)
	}
	s.networks = append(s.networks, *n)
	return n.describe(), nil
}

// countRuns returns the number of networks of runs. The caller holds mu.
func (s *Server) countRuns() (count int) {
	for _, n := range s.networks {
		if n.Run {
			count++
		}
	}
	return count
}

// samples answers with the pictures from, from+1, ..., at most count.
func (s *Server) samples(r *http.Request) (any, error) {
	n, err := s.network(r.PathValue("name"))
	if err != nil {
		return nil, err
	}
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	count, err2 := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil || err2 != nil {
		return nil, refuse(http.StatusBadRequest, "samples", "want from and count, two numbers")
	}
	if n.Samples == nil {
		return nil, refuse(http.StatusNotFound, "samples", "this network has no pictures to choose from")
	}
	set, err := n.Samples()
	if err != nil {
		return nil, refuse(http.StatusNotFound, "samples", "the pictures of this network's data set are not on this machine")
	}
	list, err := learn.Samples(set, from, count)
	return list, sessionError(err)
}

// openSession opens a network for a reader, and describes it.
func (s *Server) openSession(r *http.Request) (any, error) {
	var wanted struct{ Network string }
	if err := decode(r, &wanted, maxQuestion); err != nil {
		return nil, err
	}
	n, err := s.network(wanted.Network)
	if err != nil {
		return nil, err
	}
	opened := &session{network: n, decoder: n.Images.Preparation().Decoder(s.limits.Decoding)}
	err = s.answering.use(func() error {
		return s.showing.use(func() error {
			engine, err := n.Open()
			if err == nil {
				opened.engine = learn.New(engine, len(n.Classes), n.Samples)
			}
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	s.sessions.add(opened)
	return opened.engine.Describe(opened.id), nil
}

// inSession returns a handler that asks the session that a path names.
func (s *Server) inSession(action string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		reply, err := s.ask(w, r, action)
		if err != nil {
			s.send(w, r, sessionError(err))
			return
		}
		s.sendReply(w, r, reply)
	}
}

// sendReply sends JSON, or arrays.
func (s *Server) sendReply(w http.ResponseWriter, r *http.Request, reply *learn.Reply) {
	body, err := reply.Encode()
	if err != nil {
		s.send(w, r, sessionError(err))
		return
	}
	kind := "application/json"
	if reply.Binary {
		kind = "application/octet-stream"
	}
	s.sendCounted(w, r, kind, body)
}

// ask asks the session that a path names.
func (s *Server) ask(w http.ResponseWriter, r *http.Request, action string) (reply *learn.Reply, err error) {
	n, err := s.sessions.find(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	body, err := shareOf(r).read(http.MaxBytesReader(w, r.Body, int64(n.engine.MaxBody())))
	if err != nil {
		return nil, err
	}
	err = s.showing.use(func() (err error) {
		reply, err = n.engine.Answer(action, body)
		return err
	})
	return reply, err
}

// sessionError gives the errors of a session their statuses.
func sessionError(err error) error {
	e, ok := errors.AsType[*learn.Error](err)
	if !ok {
		return err
	}
	switch e.Kind {
	case learn.Early:
		return refuse(http.StatusConflict, "order", "%s", e.Text)
	case learn.Closed:
		return errNoSession
	case learn.NotFinite:
		return refuse(http.StatusUnprocessableEntity, "number", "%s", e.Text)
	}
	return refuse(http.StatusBadRequest, "argument", "%s", e.Text)
}

// maxQuestion is the number of bytes of a short request in JSON.
const maxQuestion = 1 << 12

// decode reads a request in JSON, of so many bytes at most.
func decode(r *http.Request, into any, most int64) error {
	content, err := shareOf(r).read(io.LimitReader(r.Body, most+1))
	if err != nil {
		return err
	}
	if int64(len(content)) > most || json.Unmarshal(content, into) != nil {
		return refuse(http.StatusBadRequest, "json", "the request is not the JSON that this path takes")
	}
	return nil
}

// picture answers with the network's pixels [h w c] of a picture file.
func (s *Server) picture(w http.ResponseWriter, r *http.Request) {
	n, err := s.sessions.find(r.PathValue("id"))
	if err != nil {
		s.send(w, r, err)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, s.limits.Body)
	mine := shareOf(r)
	content, err := mine.read(r.Body)
	var pixels []byte
	if err == nil {
		pixels, err = s.image(r.Context(), n.decoder, mine, content)
	}
	if unreadable, ok := errors.AsType[*pictureError](err); ok {
		err = refuse(http.StatusUnprocessableEntity, "picture", "%v", unreadable)
	}
	if err != nil {
		s.send(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(pixels)
}
