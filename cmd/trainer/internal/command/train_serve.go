package command

import (
	"context"
	"crypto/rand"
	"net"
	"path/filepath"
	"sync"

	"trainer/cmd/trainer/internal/cockpit"
	"trainer/cmd/trainer/internal/serve"
	"trainer/nn/folder"
)

// trainer train -serve: the page of trainer serve follows and steers a training that was started in a terminal.

// serveTraining trains while a server shows the training at the address that -serve names.
func (j *job) serveTraining(ctx context.Context) error {
	o := &serveOptions{listen: j.serve}
	if err := j.checkServeToken(o); err != nil {
		return err
	}
	listener, err := listen("-serve", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	if !serve.IsLoopback(listener.Addr()) && o.token == "" {
		o.token = rand.Text()
	}
	address := serveURL(listener.Addr().(*net.TCPAddr), o)
	t, ctx := cockpit.New(ctx, j.name)
	j.watch = &watch{training: t, named: true}
	server := serve.New(serve.Config{
		Workshop: &shownTraining{program: j.program, training: t, watch: j.watch}, Token: o.token, Hosts: o.hosts,
		Limits: serve.DefaultLimits(), Address: listener.Addr(), Log: j.note,
	})
	if err := j.announce(j.stderr, listener, address, false); err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := server.Serve(serving, listener); err != nil {
			j.note("-serve: %v", err)
		}
	})
	defer all.Wait()
	defer stop()
	err = j.train(ctx)
	t.End(endOf(ctx, err))
	return err
}

// shownTraining is the workshop of a training that was started in a terminal: it shows only this one.
type shownTraining struct {
	*program
	training *cockpit.Training
	watch    *watch
}

var errOnlyShown error = cockpit.Failf(cockpit.Busy, "this page shows a training that was started in a terminal: start trainer serve for all runs")

// Choices returns none.
func (s *shownTraining) Choices() cockpit.Choices { return cockpit.Choices{} }

// Recipe returns an error, as all methods that would start or change something.
func (s *shownTraining) Recipe(string) (string, error) { return "", errOnlyShown }

// Check returns no mistakes.
func (s *shownTraining) Check(string) []cockpit.Mistake { return []cockpit.Mistake{} }

// Preview returns an error.
func (s *shownTraining) Preview(context.Context, cockpit.Plan) (*cockpit.Preview, error) {
	return nil, errOnlyShown
}

// Start returns an error.
func (s *shownTraining) Start(cockpit.Plan) (string, error) { return "", errOnlyShown }

// Resume returns an error.
func (s *shownTraining) Resume(string) error { return errOnlyShown }

// Rename returns an error.
func (s *shownTraining) Rename(context.Context, string, string) error { return errOnlyShown }

// Delete returns an error.
func (s *shownTraining) Delete(context.Context, string) error { return errOnlyShown }

// Live returns the training.
func (s *shownTraining) Live() *cockpit.Training { return s.training }

// Runs lists the training's run, once it has a folder.
func (s *shownTraining) Runs(context.Context) ([]cockpit.Run, error) {
	run, dir, err := s.open()
	if err != nil || dir == nil {
		return []cockpit.Run{}, err
	}
	return []cockpit.Run{run}, dir.Close()
}

// Record returns what the training's run has written.
func (s *shownTraining) Record(_ context.Context, name string) (*cockpit.Record, error) {
	run, dir, err := s.open()
	if err != nil {
		return nil, err
	}
	if dir == nil {
		return nil, cockpit.Failf(cockpit.Missing, "no run of this name")
	}
	defer dir.Close()
	if name != run.Name {
		return nil, cockpit.Failf(cockpit.Missing, "no run of this name")
	}
	return readRecord(dir, run)
}

// Histograms returns those of the training.
func (s *shownTraining) Histograms(_ context.Context, name string) (*cockpit.Histograms, error) {
	if name != s.training.State().Run {
		return nil, cockpit.Failf(cockpit.Missing, "no run of this name")
	}
	return s.training.Histograms(), nil
}

// open opens the folder of the run that is being trained, or returns nil before there is one.
func (s *shownTraining) open() (cockpit.Run, *folder.Folder, error) {
	path := s.watch.place()
	if path == "" {
		return cockpit.Run{}, nil, nil
	}
	dir, err := folder.Open(path)
	if err != nil {
		return cockpit.Run{}, nil, err
	}
	return pageRun(s.rowOf(dir, path), filepath.Base(path)), dir, nil
}
