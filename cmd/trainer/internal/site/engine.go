package site

import (
	"context"
	"strconv"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/learn"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/inspect"
	"trainer/nn/model"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// network is what the Learn part shows.
type network struct {
	learn.Description

	open     func() (*inspect.Session, error)
	pictures data.Set
}

// Engine answers the requests of one page. It is for one goroutine at a time, except that trainings go on meanwhile.
type Engine struct {
	dev      device.Device // of the Learn part
	split    *data.Dataset
	networks []*network
	session  *learn.Session // the page has one at a time
	id       int            // of the session
	shop     *Workshop
	routes   []route
}

// Config is what an engine works with.
type Config struct {
	Learn, Train device.Device
	Model        string // path of a trained model; "" for none
	Data         *data.Dataset
	Recipes      []string // to choose from, the default one first; they are also shown untrained
	// Yield is called after every step, and lets the page's requests in. It may be nil.
	Yield func()
}

// New returns an engine. The model and the recipes must be for pictures of the data's size.
func New(c Config) (*Engine, error) {
	e := &Engine{dev: c.Learn, split: c.Data, shop: newWorkshop(c)}
	if c.Model != "" {
		m, err := model.Open(c.Model, c.Learn)
		if err != nil {
			return nil, err
		}
		e.add(e.describe("model", true, func() (*inspect.Session, error) { return inspect.Of(m, c.Learn, recipe.BuiltIn()) }))
	}
	for _, name := range c.Recipes {
		r, err := recipe.Load(name)
		if err != nil {
			return nil, err
		}
		e.add(e.describe(name, false, func() (*inspect.Session, error) { return e.sessionOf(r) }))
	}
	x, err := learn.OpenExample(c.Learn)
	if err != nil {
		return nil, err
	}
	e.add(example(x))
	e.setRoutes()
	return e, nil
}

// describe returns a network for the data's pictures.
func (e *Engine) describe(name string, trained bool, open func() (*inspect.Session, error)) *network {
	set := e.split.Test
	n := &network{learn.Description{Name: name, Trained: trained, Classes: set.Classes(), Samples: true, White: 255}, open, set}
	n.Height, n.Width, n.Channels = set.ImageShape()
	return n
}

// example returns the worked example.
func example(x *learn.Example) *network {
	n := &network{learn.Description{Name: learn.ExampleName, Classes: x.Classes, Samples: true, White: x.White, Example: true}, x.Open, x.Pictures}
	n.Height, n.Width, n.Channels = x.Pictures.ImageShape()
	return n
}

// add adds a network, or replaces that of the same name.
func (e *Engine) add(n *network) {
	for i, old := range e.networks {
		if old.Name == n.Name {
			e.networks[i] = n
			return
		}
	}
	e.networks = append(e.networks, n)
}

// sessionOf opens a recipe's network with initial weights.
func (e *Engine) sessionOf(r *recipe.Recipe) (*inspect.Session, error) {
	return openRecipe(e.dev, r, e.split)
}

// openRecipe opens a recipe's network with initial weights.
func openRecipe(dev device.Device, r *recipe.Recipe, split *data.Dataset) (*inspect.Session, error) {
	h, w, c := split.Train.ImageShape()
	mean, std, ok := r.MeanStd(split.Name)
	if !ok {
		var err error
		if mean, std, err = data.MeanStd(split.Train); err != nil {
			return nil, err
		}
	}
	return inspect.New(dev, r.Model(len(split.Train.Classes())), inspect.Options{Input: nn.Shape{h, w, c}, Mean: mean, Std: std, Loss: r.Loss})
}

// setRoutes says what answers which path: the same as in package serve.
func (e *Engine) setRoutes() {
	ctx := context.Background()
	byName := func(f func(name string) (any, error)) func(request) (any, error) {
		return func(r request) (any, error) { return f(r.args[0]) }
	}
	e.routes = []route{
		{"api/networks", func(request) (any, error) { return e.networks, nil }},
		{"api/networks/*/samples", e.samples},
		{"api/sessions", e.openSession},
		{"api/sessions/*/picture", e.picture},
		{"api/sessions/*/*", e.ask},
		{"api/train/choices", func(request) (any, error) { return e.shop.Choices(), nil }},
		{"api/train/recipes/*", byName(func(name string) (any, error) {
			text, err := e.shop.Recipe(name)
			return map[string]string{"recipe": text}, err
		})},
		{"api/train/check", e.check},
		{"api/train/preview", e.preview},
		{"api/train/start", e.start},
		{"api/runs", func(request) (any, error) { return e.shop.Runs(ctx) }},
		{"api/runs/*", byName(func(name string) (any, error) { return e.shop.Record(ctx, name) })},
		{"api/runs/*/histograms", byName(e.runHistograms)},
		{"api/runs/*/learn", byName(e.learnRun)},
		{"api/runs/*/resume", byName(func(name string) (any, error) { return done{name}, e.shop.Resume(name) })},
		{"api/runs/*/rename", e.rename},
		{"api/runs/*/delete", byName(func(name string) (any, error) { return done{}, e.shop.Delete(ctx, name) })},
		{"api/training", func(request) (any, error) { return e.training(), nil }},
		{"api/training/order", e.order},
		{"api/training/answers", e.answers},
		{"api/training/histograms", e.histograms},
	}
}

// network returns the network of a name.
func (e *Engine) network(name string) (*network, error) {
	for _, n := range e.networks {
		if n.Name == name {
			return n, nil
		}
	}
	return nil, &refusal{statusNotFound, "no network of this name"}
}

// samples answers with the pictures from, from+1, ..., at most count.
func (e *Engine) samples(r request) (any, error) {
	n, err := e.network(r.args[0])
	if err != nil {
		return nil, err
	}
	from, err := strconv.Atoi(r.query.Get("from"))
	count, err2 := strconv.Atoi(r.query.Get("count"))
	if err != nil || err2 != nil {
		return nil, &refusal{statusBadRequest, "want from and count, two numbers"}
	}
	return learn.Samples(n.pictures, from, count)
}

// openSession opens a network in place of the one that was open.
func (e *Engine) openSession(r request) (any, error) {
	var wanted struct{ Network string }
	if err := r.decode(&wanted); err != nil {
		return nil, err
	}
	n, err := e.network(wanted.Network)
	if err != nil {
		return nil, err
	}
	opened, err := n.open()
	if err != nil {
		return nil, err
	}
	if e.session != nil {
		_ = e.session.Close() // nothing depends on it any more
	}
	e.session, e.id = learn.New(opened, len(n.Classes), func() (data.Set, error) { return n.pictures, nil }), e.id+1
	return e.session.Describe(strconv.Itoa(e.id)), nil
}

// opened returns the session of an id.
func (e *Engine) opened(id string) (*learn.Session, error) {
	if e.session == nil || id != strconv.Itoa(e.id) {
		return nil, &learn.Error{Kind: learn.Closed, Text: "this session was closed: open a new one"}
	}
	return e.session, nil
}

// ask asks the session.
func (e *Engine) ask(r request) (any, error) {
	s, err := e.opened(r.args[0])
	if err != nil {
		return nil, err
	}
	return s.Answer(r.args[1], r.body)
}

// maxDecoding is the number of bytes that decoding a picture takes.
const maxDecoding = 256 << 20

// picture answers with the network's pixels [h w c] of a picture file.
func (e *Engine) picture(r request) (any, error) {
	s, err := e.opened(r.args[0])
	if err != nil {
		return nil, err
	}
	shape := s.Input()
	d := data.Preparation{H: shape[0], W: shape[1], C: shape[2]}.Decoder(maxDecoding)
	pixels := make([]byte, d.Len())
	if err := d.Decode(context.Background(), pixels, r.body); err != nil {
		return nil, &refusal{statusUnprocessable, err.Error()}
	}
	return pixels, nil
}

// done is the answer to a request that has no other.
type done struct {
	Run string `json:"run,omitempty"`
}

func (e *Engine) check(r request) (any, error) {
	var p cockpit.Plan
	if err := r.decode(&p); err != nil {
		return nil, err
	}
	return cockpit.Preview{Mistakes: e.shop.Check(p.Recipe)}, nil
}

func (e *Engine) preview(r request) (any, error) {
	var p cockpit.Plan
	if err := r.decode(&p); err != nil {
		return nil, err
	}
	return e.shop.Preview(context.Background(), p)
}

func (e *Engine) start(r request) (any, error) {
	var p cockpit.Plan
	if err := r.decode(&p); err != nil {
		return nil, err
	}
	run, err := e.shop.Start(p)
	return done{run}, err
}

func (e *Engine) rename(r request) (any, error) {
	var to struct{ Name string }
	if err := r.decode(&to); err != nil {
		return nil, err
	}
	return done{to.Name}, e.shop.Rename(context.Background(), r.args[0], to.Name)
}

// learnRun adds the network of a run to those of the Learn part, and describes it.
func (e *Engine) learnRun(name string) (any, error) {
	run, err := e.shop.find(name)
	if err != nil {
		return nil, err
	}
	if run.network == nil {
		return nil, cockpit.Failf(cockpit.Invalid, "the run has no network yet")
	}
	n := e.describe("runs/"+name, true, func() (*inspect.Session, error) {
		s, err := e.sessionOf(run.recipe)
		if err != nil {
			return nil, err
		}
		return s, s.CopyWeights(run.network)
	})
	e.add(n)
	return n, nil
}

// training answers with the state and the curves of the training, or null before the first.
func (e *Engine) training() any {
	t := e.shop.Live()
	if t == nil {
		return nil
	}
	steps, epochs := t.Curves()
	return struct {
		State  cockpit.State        `json:"state"`
		Steps  []train.StepMetrics  `json:"steps"`
		Epochs []train.EpochMetrics `json:"epochs"`
	}{t.State(), steps, epochs}
}

// live returns the training that runs, or the last one.
func (e *Engine) live() (*cockpit.Training, error) {
	if t := e.shop.Live(); t != nil {
		return t, nil
	}
	return nil, cockpit.Failf(cockpit.Missing, "no training has been started")
}

func (e *Engine) order(r request) (any, error) {
	var o cockpit.Order
	if err := r.decode(&o); err != nil {
		return nil, err
	}
	t, err := e.live()
	if err != nil {
		return nil, err
	}
	if o.Action == cockpit.Save {
		return nil, cockpit.Failf(cockpit.Invalid, "there are no checkpoints in the browser")
	}
	return done{}, t.Steer(o)
}

func (e *Engine) answers(request) (any, error) {
	t, err := e.live()
	if err != nil {
		return nil, err
	}
	if a := t.Answers(); a != nil {
		return a, nil
	}
	return nil, cockpit.Failf(cockpit.Missing, "no evaluation has ended yet")
}

// histograms answers with the histograms of the training.
func (e *Engine) histograms(request) (any, error) {
	t, err := e.live()
	if err != nil {
		return nil, err
	}
	return counted(t.Histograms()), nil
}

// runHistograms answers with the histograms of a run.
func (e *Engine) runHistograms(name string) (any, error) {
	h, err := e.shop.Histograms(context.Background(), name)
	if err != nil {
		return nil, err
	}
	return counted(h), nil
}

// counted is the answer with histograms: what belongs to them, then the counts of each.
func counted(h *cockpit.Histograms) *learn.Reply {
	return &learn.Reply{Info: h, Arrays: h.Counts(), Binary: true}
}

// Follow calls send with the events of all trainings, as JSON: hello when they begin, and after the page fell behind. It
// never returns.
func (e *Engine) Follow(send func(kind string, data any)) {
	for {
		send("hello", struct{}{})
		t := e.shop.Live()
		if t == nil {
			t = <-e.shop.begun
		}
		for t != nil {
			t = e.follow(t, send)
		}
	}
}

// follow sends the events of a training, and returns the next one, or nil if the page fell behind.
func (e *Engine) follow(t *cockpit.Training, send func(kind string, data any)) *cockpit.Training {
	l := t.Listen()
	defer t.StopListening(l)
	send("state", t.State())
	for {
		select {
		case event, ok := <-l.Events():
			if !ok {
				return nil
			}
			send(event.Kind, event.Data)
		case next := <-e.shop.begun:
			if next != t {
				return next
			}
		}
	}
}
