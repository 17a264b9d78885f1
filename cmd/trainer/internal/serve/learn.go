package serve

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"trainer/nn/inspect"
	"trainer/nn/optim"
)

// What the page asks for. Requests that compute or change something are POST, so that no other site can send them.

// learnRoutes says which handler answers which path of the page's requests.
func (s *Server) learnRoutes() {
	s.handle("GET", "/api/networks", s.listNetworks)
	s.handle("GET", "/api/networks/{name}/samples", s.samples)
	s.handle("POST", "/api/sessions", s.openSession)
	s.handle("POST", "/api/sessions/{id}/picture", s.picture)
	for action, f := range map[string]func(w http.ResponseWriter, r *http.Request, n *session) error{
		"forward": s.forward, "backward": s.backward, "explain": s.explain, "weights": s.weights,
		"step": s.step, "undo": s.undo, "check": s.check, "attention": s.attention,
	} {
		s.handle("POST", "/api/sessions/{id}/"+action, s.inSession(f))
	}
}

// listNetworks lists the networks.
func (s *Server) listNetworks(w http.ResponseWriter, _ *http.Request) {
	list := make([]networkInfo, len(s.networks))
	for i := range s.networks {
		list[i] = s.networks[i].info()
	}
	sendJSON(w, http.StatusOK, list)
}

// network returns the network of a name.
func (s *Server) network(name string) (*Network, error) {
	i := slices.IndexFunc(s.networks, func(n Network) bool { return n.Name == name })
	if i < 0 {
		return nil, refuse(http.StatusNotFound, "network", "no network of this name")
	}
	return &s.networks[i], nil
}

// maxSamples is the number of samples in an answer.
const maxSamples = 100

// sampleList is a part of the pictures to choose from.
type sampleList struct {
	Total  int     `json:"total"`
	Labels []int32 `json:"labels"`
	Pixels []byte  `json:"pixels"` // [n h w c]
}

// samples answers with the pictures from, from+1, ..., at most count.
func (s *Server) samples(w http.ResponseWriter, r *http.Request) {
	n, err := s.network(r.PathValue("name"))
	if err == nil && n.Samples == nil {
		err = refuse(http.StatusNotFound, "samples", "this network has no pictures to choose from")
	}
	var list *sampleList
	if err == nil {
		list, err = n.samples(r)
	}
	if err != nil {
		s.send(w, r, err)
		return
	}
	sendJSON(w, http.StatusOK, list)
}

func (n *Network) samples(r *http.Request) (*sampleList, error) {
	from, err := strconv.Atoi(r.URL.Query().Get("from"))
	count, err2 := strconv.Atoi(r.URL.Query().Get("count"))
	if err != nil || err2 != nil || from < 0 || count < 1 || count > maxSamples {
		return nil, refuse(http.StatusBadRequest, "samples", "want from, a number from 0, and count, a number from 1 to %d", maxSamples)
	}
	set, err := n.Samples()
	if err != nil {
		return nil, refuse(http.StatusNotFound, "samples", "the pictures of this network's data set are not on this machine")
	}
	size := n.Images.Height * n.Images.Width * n.Images.Channels
	list := &sampleList{Total: set.Len(), Labels: []int32{}}
	for i := from; i < min(from+count, set.Len()); i++ {
		pixels := make([]byte, size)
		label, err := set.Read(i, pixels)
		if err != nil {
			return nil, err
		}
		list.Labels, list.Pixels = append(list.Labels, label), append(list.Pixels, pixels...)
	}
	return list, nil
}

// openSession opens a network for a reader, and describes it.
func (s *Server) openSession(w http.ResponseWriter, r *http.Request) {
	var wanted struct{ Network string }
	err := decode(r, &wanted)
	var n *Network
	if err == nil {
		n, err = s.network(wanted.Network)
	}
	if err != nil {
		s.send(w, r, err)
		return
	}
	opened := &session{network: n, decoder: n.Images.Preparation().Decoder(s.limits.Decoding)}
	err = s.answering.use(func() error {
		return s.showing.use(func() (err error) {
			opened.engine, err = n.Open()
			return err
		})
	})
	if err != nil {
		s.send(w, r, err)
		return
	}
	places := opened.engine.Places()
	s.sessions.add(opened)
	sendJSON(w, http.StatusOK, struct {
		ID     string          `json:"id"`
		Places []inspect.Place `json:"places"`
		Rules  []string        `json:"rules"`
	}{opened.id, places, optim.Algorithms()})
}

// inSession finds the session that a path names, and words the errors.
func (s *Server) inSession(f func(w http.ResponseWriter, r *http.Request, n *session) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := s.sessions.find(r.PathValue("id"))
		if err == nil {
			r.Body = http.MaxBytesReader(w, r.Body, int64(max(1<<16, n.decoder.Len())))
			err = f(w, r, n)
		}
		if err != nil {
			s.send(w, r, sessionError(err))
		}
	}
}

// sessionError words the errors of a session for a client.
func sessionError(err error) error {
	if errors.Is(err, inspect.ErrClosed) {
		return errNoSession
	}
	for _, early := range []error{inspect.ErrNoForward, inspect.ErrNoBackward, inspect.ErrNoStep} {
		if errors.Is(err, early) {
			return refuse(http.StatusConflict, "order", "%v", early)
		}
	}
	if mistake, ok := errors.AsType[*inspect.ArgumentError](err); ok {
		return refuse(http.StatusBadRequest, "argument", "%s", mistake.Problem)
	}
	if setting, ok := errors.AsType[*optim.ConfigError](err); ok {
		return refuse(http.StatusBadRequest, "setting", "%v", setting)
	}
	return err
}

// maxQuestion is the number of bytes of a request in JSON.
const maxQuestion = 1 << 12

// decode reads a request in JSON.
func decode(r *http.Request, into any) error {
	content, err := io.ReadAll(io.LimitReader(r.Body, maxQuestion+1))
	if err != nil {
		return err
	}
	if len(content) > maxQuestion || json.Unmarshal(content, into) != nil {
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
	mine := s.bodies.share()
	defer mine.release()
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

// forward computes all values for a picture, whose pixels [h w c] are the body.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, n *session) error {
	pixels, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(pixels) != n.decoder.Len() {
		return refuse(http.StatusBadRequest, "size", "got %d bytes, want %d, the pixels of a picture", len(pixels), n.decoder.Len())
	}
	var pass *inspect.Pass
	err = s.showing.use(func() (err error) {
		pass, err = n.engine.Forward(pixels)
		return err
	})
	if err != nil {
		return err
	}
	s.sendTensors(w, r, passInfo{Answer: pass.Answer}, pass.Values)
	return nil
}

// passInfo belongs to the values of a forward pass.
type passInfo struct {
	Answer []float64 `json:"answer"`
}

// gradientInfo belongs to the gradients of a backward pass: those of the places, then those of the weights.
type gradientInfo struct {
	Label   int      `json:"label"`
	Loss    float64  `json:"loss"`
	Weights []string `json:"weights"`
}

// backward computes the gradients for a label.
func (s *Server) backward(w http.ResponseWriter, r *http.Request, n *session) error {
	var asked struct{ Label int }
	if err := decode(r, &asked); err != nil {
		return err
	}
	if asked.Label < 0 || asked.Label >= len(n.network.Classes) {
		return refuse(http.StatusBadRequest, "label", "label: want a number from 0 to %d", len(n.network.Classes)-1)
	}
	var back *inspect.Gradients
	err := s.showing.use(func() (err error) {
		back, err = n.engine.Backward(asked.Label)
		return err
	})
	if err != nil {
		return err
	}
	info, arrays := n.gradients(back)
	s.sendTensors(w, r, info, arrays)
	return nil
}

// gradients lists the gradients of the places, then those of the weights in the network's order.
func (n *session) gradients(back *inspect.Gradients) (gradientInfo, [][]float32) {
	info, arrays := gradientInfo{Label: back.Label, Loss: back.Loss, Weights: []string{}}, slices.Clone(back.Values)
	for _, p := range n.engine.Places() {
		for _, t := range p.Tensors {
			if values, ok := back.Weights[t.Name]; ok {
				info.Weights, arrays = append(info.Weights, t.Name), append(arrays, values)
			}
		}
	}
	return info, arrays
}

// explain says where a number came from.
func (s *Server) explain(w http.ResponseWriter, r *http.Request, n *session) error {
	var q inspect.Question
	if err := decode(r, &q); err != nil {
		return err
	}
	if err := n.checkQuestion(q); err != nil {
		return err
	}
	q.Largest = min(max(q.Largest, 0), 4096)
	var why *inspect.Explanation
	err := s.showing.use(func() (err error) {
		why, err = n.engine.Explain(q)
		return err
	})
	if err != nil {
		return err
	}
	return sendFinite(w, why)
}

// sendFinite writes a value whose numbers may be infinite, which is an error.
func sendFinite(w http.ResponseWriter, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return errNotFinite
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(text, '\n'))
	return nil
}

// checkQuestion returns an error unless a question is about a number that there is.
func (n *session) checkQuestion(q inspect.Question) error {
	places := n.engine.Places()
	size := -1
	switch q.Of {
	case inspect.Value, inspect.Gradient:
		if q.Place >= 0 && q.Place < len(places) {
			size = places[q.Place].Shape.Len()
		}
	case inspect.WeightGradient:
		if t, ok := n.tensor(q.Tensor); ok {
			size = 1
			for _, d := range t.Shape {
				size *= d
			}
		}
	}
	if q.Index < 0 || q.Index >= size {
		return refuse(http.StatusBadRequest, "question", "there is no such number in the network")
	}
	return nil
}

// tensor returns the parameter or running statistic of a name.
func (n *session) tensor(name string) (inspect.Tensor, bool) {
	for _, p := range n.engine.Places() {
		for _, t := range p.Tensors {
			if t.Name == name {
				return t, true
			}
		}
	}
	return inspect.Tensor{}, false
}

// weights answers with the values of a tensor.
func (s *Server) weights(w http.ResponseWriter, r *http.Request, n *session) error {
	var asked struct{ Tensor string }
	if err := decode(r, &asked); err != nil {
		return err
	}
	if _, ok := n.tensor(asked.Tensor); !ok {
		return refuse(http.StatusNotFound, "tensor", "no tensor of this name")
	}
	var values []float32
	err := s.showing.use(func() (err error) {
		values, err = n.engine.Weights(asked.Tensor)
		return err
	})
	if err != nil {
		return err
	}
	s.sendTensors(w, r, struct{}{}, [][]float32{values})
	return nil
}

// stepInfo belongs to the values and gradients after a step, or after one was undone.
type stepInfo struct {
	passInfo
	gradientInfo
	Step *inspect.Step `json:"step"` // nil after an undo
}

// step updates the weights with the gradients of the last backward pass.
func (s *Server) step(w http.ResponseWriter, r *http.Request, n *session) error {
	var asked struct {
		Rule string
		LR   float64
	}
	if err := decode(r, &asked); err != nil {
		return err
	}
	if !slices.Contains(optim.Algorithms(), asked.Rule) || !(asked.LR > 0 && asked.LR <= maxRate) {
		return refuse(http.StatusBadRequest, "step", "want a rule, one of %v, and a learning rate above 0, at most %d", optim.Algorithms(), maxRate)
	}
	var done *inspect.Step
	err := s.showing.use(func() (err error) {
		done, err = n.engine.Step(optim.Config{Algorithm: asked.Rule, LR: asked.LR})
		return err
	})
	if err != nil {
		return err
	}
	s.sendPasses(w, r, n, done, done.Pass, done.Gradients)
	return nil
}

// maxRate is the largest learning rate of a step.
const maxRate = 100

// undo takes the last step back.
func (s *Server) undo(w http.ResponseWriter, r *http.Request, n *session) error {
	var pass *inspect.Pass
	var back *inspect.Gradients
	err := s.showing.use(func() (err error) {
		pass, back, err = n.engine.Undo()
		return err
	})
	if err != nil {
		return err
	}
	s.sendPasses(w, r, n, nil, pass, back)
	return nil
}

// sendPasses writes the values of all places, then the gradients of all places, then those of the weights.
func (s *Server) sendPasses(w http.ResponseWriter, r *http.Request, n *session, done *inspect.Step, pass *inspect.Pass, back *inspect.Gradients) {
	if done != nil { // the arrays have the passes
		bare := *done
		bare.Pass, bare.Gradients = nil, nil
		done = &bare
	}
	info, gradients := n.gradients(back)
	s.sendTensors(w, r, stepInfo{passInfo{pass.Answer}, info, done}, slices.Concat(pass.Values, gradients))
}

// check compares the gradient of a weight with a finite difference.
func (s *Server) check(w http.ResponseWriter, r *http.Request, n *session) error {
	var asked struct {
		Tensor string
		Index  int
	}
	if err := decode(r, &asked); err != nil {
		return err
	}
	if err := n.checkQuestion(inspect.Question{Of: inspect.WeightGradient, Tensor: asked.Tensor, Index: asked.Index}); err != nil {
		return err
	}
	var result *inspect.Check
	err := s.showing.use(func() (err error) {
		result, err = n.engine.CheckGradient(asked.Tensor, asked.Index, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("checking a gradient: %w", err)
	}
	return sendFinite(w, result)
}

// attention answers with a map of the picture's pixels that matter for a class.
func (s *Server) attention(w http.ResponseWriter, r *http.Request, n *session) error {
	var asked struct {
		Kind  string
		Class int
	}
	if err := decode(r, &asked); err != nil {
		return err
	}
	if asked.Class < 0 || asked.Class >= len(n.network.Classes) {
		return refuse(http.StatusBadRequest, "label", "class: want a number from 0 to %d", len(n.network.Classes)-1)
	}
	var compute func() (*inspect.Map, error)
	switch asked.Kind {
	case "saliency":
		compute = func() (*inspect.Map, error) { return n.engine.Saliency(asked.Class) }
	case "grad-cam":
		compute = func() (*inspect.Map, error) { return n.engine.GradCAM(asked.Class, -1) }
	default:
		return refuse(http.StatusBadRequest, "attention", "kind: want saliency or grad-cam")
	}
	var seen *inspect.Map
	err := s.showing.use(func() (err error) {
		seen, err = compute()
		return err
	})
	if err != nil {
		return err
	}
	s.sendTensors(w, r, mapInfo{seen.Rows, seen.Columns}, [][]float32{seen.Values})
	return nil
}

// mapInfo belongs to a map of numbers.
type mapInfo struct {
	Rows    int `json:"rows"`
	Columns int `json:"columns"`
}
