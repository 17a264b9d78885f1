package serve

import (
	"errors"
	"net/http"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/learn"
	"trainer/nn/train"
)

// What the Train part of the page asks for. The workshop answers; a name in a path is looked up in its lists.

// maxPlan is the number of bytes of a request with a recipe.
const maxPlan = 1 << 18

// trainRoutes says which handler answers which path.
func (s *Server) trainRoutes() {
	s.handle("GET", "/api/train/choices", s.answer(func(*http.Request) (any, error) { return s.workshop.Choices(), nil }))
	s.handle("GET", "/api/train/recipes/{name}", s.answer(s.recipe))
	s.handle("POST", "/api/train/check", s.answer(s.checkRecipe))
	s.handle("POST", "/api/train/preview", s.answer(s.preview))
	s.handle("POST", "/api/train/start", s.answer(s.startTraining))
	s.handle("GET", "/api/runs", s.answer(func(r *http.Request) (any, error) { return s.workshop.Runs(r.Context()) }))
	s.handle("GET", "/api/runs/{name}", s.answer(s.large(s.run)))
	s.handle("GET", "/api/runs/{name}/histograms", s.histogramsAnswer(s.runHistograms))
	s.handle("POST", "/api/runs/{name}/resume", s.answer(s.resume))
	s.handle("POST", "/api/runs/{name}/rename", s.answer(s.rename))
	s.handle("POST", "/api/runs/{name}/delete", s.answer(s.deleteRun))
	s.handle("GET", "/api/training", s.answer(s.large(s.training)))
	s.handle("POST", "/api/training/order", s.answer(s.order))
	s.handle("GET", "/api/training/answers", s.answer(s.large(s.trainingAnswers)))
	s.handle("GET", "/api/training/histograms", s.histogramsAnswer(s.histograms))
	s.handle("GET", eventsPath, s.events)
}

// workshopError gives the errors of a workshop their statuses.
func workshopError(err error) error {
	e, ok := errors.AsType[*cockpit.Error](err)
	if !ok {
		return err
	}
	status := map[cockpit.Kind]int{
		cockpit.Invalid: http.StatusBadRequest, cockpit.Missing: http.StatusNotFound, cockpit.Busy: http.StatusConflict,
	}[e.Kind]
	return refuse(status, "training", "%s", e.Text)
}

// done is the answer to a request that has no other.
type done struct {
	Run string `json:"run,omitempty"`
}

func (s *Server) recipe(r *http.Request) (any, error) {
	text, err := s.workshop.Recipe(r.PathValue("name"))
	return struct {
		Recipe string `json:"recipe"`
	}{text}, err
}

func (s *Server) checkRecipe(r *http.Request) (any, error) {
	var p cockpit.Plan
	if err := decode(r, &p, maxPlan); err != nil {
		return nil, err
	}
	return cockpit.Preview{Mistakes: s.workshop.Check(p.Recipe)}, nil
}

func (s *Server) preview(r *http.Request) (any, error) {
	var p cockpit.Plan
	if err := decode(r, &p, maxPlan); err != nil {
		return nil, err
	}
	return s.workshop.Preview(r.Context(), p)
}

func (s *Server) startTraining(r *http.Request) (any, error) {
	var p cockpit.Plan
	if err := decode(r, &p, maxPlan); err != nil {
		return nil, err
	}
	run, err := s.workshop.Start(p)
	return done{run}, err
}

func (s *Server) run(r *http.Request) (any, error) {
	return s.workshop.Record(r.Context(), r.PathValue("name"))
}

func (s *Server) resume(r *http.Request) (any, error) {
	name := r.PathValue("name")
	return done{name}, s.workshop.Resume(name)
}

func (s *Server) rename(r *http.Request) (any, error) {
	var to struct{ Name string }
	if err := decode(r, &to, maxQuestion); err != nil {
		return nil, err
	}
	return done{to.Name}, s.workshop.Rename(r.Context(), r.PathValue("name"), to.Name)
}

func (s *Server) deleteRun(r *http.Request) (any, error) {
	return done{}, s.workshop.Delete(r.Context(), r.PathValue("name"))
}

// live returns the training that runs, or the last one.
func (s *Server) live() (*cockpit.Training, error) {
	if t := s.workshop.Live(); t != nil {
		return t, nil
	}
	return nil, refuse(http.StatusNotFound, "training", "no training has been started")
}

// training answers with the state and the curves of the training, or null before the first.
func (s *Server) training(*http.Request) (any, error) {
	t := s.workshop.Live()
	if t == nil {
		return nil, nil
	}
	steps, epochs := t.Curves()
	return struct {
		State  cockpit.State        `json:"state"`
		Steps  []train.StepMetrics  `json:"steps"`
		Epochs []train.EpochMetrics `json:"epochs"`
	}{t.State(), steps, epochs}, nil
}

func (s *Server) order(r *http.Request) (any, error) {
	var o cockpit.Order
	if err := decode(r, &o, maxQuestion); err != nil {
		return nil, err
	}
	t, err := s.live()
	if err != nil {
		return nil, err
	}
	return done{}, t.Steer(o)
}

// trainingAnswers answers with the last evaluation's confusion matrix and worst mistakes.
func (s *Server) trainingAnswers(*http.Request) (any, error) {
	t, err := s.live()
	if err != nil {
		return nil, err
	}
	if a := t.Answers(); a != nil {
		return a, nil
	}
	return nil, refuse(http.StatusNotFound, "training", "no evaluation has ended yet")
}

// histograms answers with the histograms of the training.
func (s *Server) histograms(*http.Request) (*cockpit.Histograms, error) {
	t, err := s.live()
	if err != nil {
		return nil, err
	}
	return t.Histograms(), nil
}

// runHistograms answers with the histograms of a run.
func (s *Server) runHistograms(r *http.Request) (*cockpit.Histograms, error) {
	return s.workshop.Histograms(r.Context(), r.PathValue("name"))
}

// histogramsAnswer returns a handler that sends f's histograms: what belongs to them, then the counts of each.
func (s *Server) histogramsAnswer(f func(r *http.Request) (*cockpit.Histograms, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		end, err := s.turn(r.Context())
		if err != nil {
			s.send(w, r, err)
			return
		}
		h, err := f(r)
		end()
		if err != nil {
			s.send(w, r, workshopError(err))
			return
		}
		s.sendReply(w, r, &learn.Reply{Info: h, Arrays: h.Counts(), Binary: true})
	}
}
