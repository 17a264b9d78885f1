package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"trainer/cmd/trainer/internal/display"
	"trainer/cmd/trainer/internal/report"
	"trainer/gpu/doctor"
	"trainer/nn/device"
	"trainer/nn/printable"
	"trainer/nn/ranks"
	"trainer/nn/ranks/mpi"
	"trainer/nn/ranks/star"
	"trainer/nn/train"
)

// Several ranks of one training, started by mpirun, srun, torchrun or by the program itself (-gpus). Rank 0 is the program as it always is; the others print
// nothing, write nothing, and end when it ends. An error that all ranks know of is told by rank 0; any other by the rank
// that it happened to, whose name it begins with.

// team is what a process knows of the ranks; nil if it is the only one.
type team struct {
	ranks.Transport
	control  device.Collective // for messages, not for tensors
	tensors  device.Collective // nil until the devices are connected
	env      ranks.Environment
	gpu      int       // the number of this rank's GPU; -1 if its place on the machine decides
	children *children // the ranks that this process has started; nil if a launcher has
	stderr   io.Writer // the program's, also of a rank that prints nothing
	note     func(format string, args ...any)

	alive  context.Context // until a rank fails
	cancel context.CancelCauseFunc
}

func (p *program) newTeam(env ranks.Environment) *team {
	return &team{env: env, gpu: -1, stderr: p.stderr, note: p.note}
}

// lags tells of a rank that others wait for.
func (t *team) lags(e *ranks.RankError) { t.note("%v", e) }

// silentError ends a rank with a status; rank 0 says why.
type silentError struct{ status int }

func (e *silentError) Error() string { return fmt.Sprintf("status %d", e.status) }

// joinRanks joins the ranks that were started with this process, and silences all but rank 0. It returns nil if this
// process was started alone.
func (p *program) joinRanks(ctx context.Context) (*team, error) {
	env, err := ranks.ReadEnvironment(p.getenv)
	if err != nil {
		return nil, &usageError{err.Error()}
	}
	if env.Launcher == "" || env.Size == 1 {
		return nil, nil
	}
	t := p.newTeam(env)
	if err := p.silence(env.Rank); err != nil {
		return nil, err
	}
	t.note = p.note // silent on most ranks
	if !env.MPI {
		if t.Transport, err = t.openStar(ctx, p); err != nil {
			return nil, t.refuse(err)
		}
		return t, p.greet(t)
	}
	if t.Transport, err = mpi.Open(ctx, p.getenv, t.lags); err != nil {
		return nil, t.refuse(fmt.Errorf("%s started this process as one of several ranks: %w", env.Launcher, err))
	}
	if env.Size > 1 && env.Size != t.Size() {
		return nil, t.refuse(fmt.Errorf("%s started %d ranks, of which %s connects %d: use the mpirun of that library, or name the launcher's library with TRAINER_MPI", env.Launcher, env.Size, t.Name(), t.Size()))
	}
	if env.Rank < 0 { // known only now
		if err := p.silence(t.Rank()); err != nil {
			return nil, err
		}
	}
	return t, p.greet(t)
}

// openStar connects this rank with rank 0, or rank 0 with the others.
func (t *team) openStar(ctx context.Context, p *program) (ranks.Transport, error) {
	o := star.Options{Name: t.env.Launcher, Lags: t.lags}
	if t.env.Launcher == ranks.OwnLauncher {
		gpu, err := strconv.ParseUint(p.getenv(gpuVariable), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%s=%q: want the number of a GPU", gpuVariable, p.getenv(gpuVariable))
		}
		t.gpu = int(gpu)
		conn, err := inherited(p.getenv)
		if err != nil {
			return nil, err
		}
		return star.New(t.env.Rank, t.env.Size, []net.Conn{conn}, o)
	}
	conns, err := t.meet(ctx, p)
	if err != nil {
		return nil, err
	}
	return star.New(t.env.Rank, t.env.Size, conns, o)
}

// greet lets the ranks check that they are of one program, and learn who is on which machine.
func (p *program) greet(t *team) error {
	t.control = ranks.New(t.Transport, nil)
	t.monitor()
	if err := t.place(); err != nil {
		return err
	}
	version := fmt.Sprintf("%s for %s", p.version(), runtime.GOARCH)
	return ranks.Same(t.control, []byte(version), func(its, first []byte) string {
		return fmt.Sprintf("its program is version %s, that of rank 0 %s", its, first)
	})
}

// refuseRanks returns an error if a launcher has started this process as one of several ranks, which only training can be.
func (p *program) refuseRanks(command string) error {
	env, err := ranks.ReadEnvironment(p.getenv)
	switch {
	case err != nil:
		return &usageError{err.Error()}
	case env.Launcher == "" || env.Size == 1:
		return nil
	case env.Rank > 0:
		return &silentError{exitUsage}
	}
	return usageErrorf("%s started several processes, and %s needs a single one: start it without the launcher", env.Launcher, command)
}

// findMPI describes the MPI library that ranks started here would use. It only loads the library, and joins nothing.
func (p *program) findMPI() *doctor.Library {
	found, err := mpi.Find(p.getenv)
	l := &doctor.Library{Name: "MPI", Version: found.Version, File: found.File}
	if err == nil {
		return l
	}
	l.Reason = "not found: several processes need one"
	if errors.Is(err, mpi.ErrNotBuilt) {
		l.Reason = err.Error()
	}
	if notFound, ok := errors.AsType[*mpi.NotFoundError](err); ok {
		for _, a := range notFound.Tried {
			l.Tried = append(l.Tried, doctor.Attempt{Place: "loader", File: a.File, Reason: a.Reason})
		}
	}
	return l
}

// logsVariable is the environment variable with the folder for the output of the ranks other than 0.
const logsVariable = "TRAINER_RANK_LOGS"

// silence makes a rank other than 0 print nothing, or to a file of its own if the user has asked for logs.
func (p *program) silence(rank int) error {
	if rank <= 0 {
		return nil
	}
	var log io.Writer = io.Discard
	if folder := p.getenv(logsVariable); folder != "" {
		file, err := os.Create(filepath.Join(folder, fmt.Sprintf("rank-%d.log", rank)))
		if err != nil {
			return fmt.Errorf("%s: %w", logsVariable, err)
		}
		log = printable.Writer(file) // open to the end of the process
	}
	p.stdout, p.stderr, p.screen, p.terminal = log, log, log, false
	return nil
}

// refuse returns an error that all ranks find, and rank 0 tells.
func (t *team) refuse(err error) error {
	if t.env.Rank > 0 {
		return &silentError{exitStatus(err)}
	}
	return err
}

// agree makes an error of one rank an error of all.
func (t *team) agree(err error) error {
	if t == nil {
		return err
	}
	return ranks.Agree(t.control, err)
}

// sameTask returns an error unless all ranks are to do the same, so that they go on with the same exchanges. (Package train compares
// the settings of the training.)
func (t *team) sameTask(o *options) error {
	if t == nil {
		return nil
	}
	task := fmt.Sprintf("-runs %d", o.runs)
	switch {
	case o.list:
		task = "-list"
	case o.showVersion:
		task = "-version"
	}
	return ranks.Same(t.control, []byte(task), func(its, first []byte) string {
		return fmt.Sprintf("it has %s, rank 0 %s", its, first)
	})
}

// leave ends this rank. After an error that only this rank knows it tells of it, and ends the others.
func (p *program) leave(t *team, err error) error {
	if t == nil || t.Transport == nil {
		return err
	}
	defer t.children.finish()
	if err != nil {
		err = t.failure(err)
	}
	if together(err) {
		closeErr := t.Close()
		switch {
		case isA[*ranks.AgreedError](err) && t.Rank() > 0:
			return &silentError{exitStatus(err)}
		case err != nil || closeErr == nil:
			return err
		}
		err = closeErr
	}
	of, other := errors.AsType[*ranks.RankError](err)
	if other && !t.tells(of) {
		return &silentError{exitEnvironment}
	}
	if other && t.env.MPI { // all ranks that are left find out: the lowest tells
		time.Sleep(min(time.Duration(t.Rank())*tellingApart, maxTelling))
	}
	if !other {
		of = &ranks.RankError{Rank: t.Rank(), Host: ranks.Host(), Reason: oneLine(err)}
	}
	line := of.Error()
	if explained, ok := errors.AsType[*trainingError](err); other && ok {
		line = explained.text
	}
	p.stderr = t.stderr
	p.note("%s", line)
	t.Abort(of.Error())
	return &silentError{exitEnvironment}
}

// together reports whether all ranks end with an error like this at the same time, or without one.
func together(err error) bool {
	return err == nil || isA[*ranks.AgreedError](err) || isA[*interruptedError](err) || isA[*silentError](err) || errors.Is(err, errNoGPU)
}

// tells reports whether it is for this rank to tell the user of another rank's failure.
func (t *team) tells(of *ranks.RankError) bool {
	if of.Told {
		return false
	}
	if t.env.MPI || of.Rank > 0 {
		return true
	}
	first := 0 // on each machine one rank tells that rank 0 has gone, which all find out: it may be the only machine that is left
	if of.Host == ranks.Host() {
		first = 1
	}
	return t.env.LocalRank <= first
}

// Ranks that have found out by themselves, within a second of each other, tell of it after so long per rank, and at most maxTelling:
// the first ends the others.
const (
	tellingApart = 1500 * time.Millisecond
	maxTelling   = 5 * time.Second
)

// shareTraining refuses what several ranks don't do, and sets the device and the number of threads of a rank: the ranks of
// a machine share its processors, unless the launcher has given each its own.
func (p *program) shareTraining(o *options, t *team) error {
	if t == nil {
		return nil
	}
	chosen, err := p.deviceKind(t, o.device == auto)
	if err != nil {
		return err
	}
	if o.device == auto {
		o.device = chosen
	}
	kind, _, err := p.parseDevice(o.device)
	if err != nil {
		return err
	}
	switch {
	case o.folds > 0:
		return usageErrorf("-folds needs a single process")
	case o.dryRun:
		return usageErrorf("-dry-run needs a single process")
	case o.serve != "":
		return usageErrorf("-serve needs a single process")
	case kind.Connect != nil && o.given["device"] && strings.Contains(o.device, ":"):
		return usageErrorf("-device %s: each rank computes on a GPU of its own: use -device %s", o.device, kind.Name)
	case kind.Connect == nil && kind.Name != p.host().Name:
		return usageErrorf("-device %s: several ranks don't compute on it", o.device)
	case o.gpus != "" && t.env.Launcher != ranks.OwnLauncher:
		return usageErrorf("-gpus: %s has started the ranks, each of which computes on a GPU of its own: remove it", t.env.Launcher)
	}
	if local := t.env.LocalSize; o.threads == 0 && local > 1 && runtime.NumCPU() >= processors() {
		o.threads = max(1, runtime.NumCPU()/local)
	}
	return nil
}

// describeRanks prints a line about the ranks.
func (j *job) describeRanks() {
	if j.team == nil || j.quiet || j.json {
		return
	}
	shards := max(1, j.recipe.Shards)
	if ranks.Divides(j.team.Size(), shards) { // otherwise an error follows
		j.note("%d ranks (%s), each with %d of %d shards", j.team.Size(), j.team.Name(), shards/j.team.Size(), shards)
	}
}

// lagHooks name a rank for which the others wait.
func (j *job) lagHooks() train.Hooks {
	return train.Hooks{Lag: func(_ *train.Training, l train.Laggard) {
		j.note("rank %d on %s computes %.1f times as long as the others, which wait for it", l.Rank, l.Host, l.Factor)
	}}
}

// nextRun is what rank 0 tells the others to train next.
type nextRun struct {
	Number int  // of a run, from 1; 0 if there are no more
	Resume bool // it has a checkpoint
}

// folderOf returns the name of a run's folder within that of several runs.
func (j *job) folderOf(number int) string {
	return fmt.Sprintf("seed-%d", j.seedOf(number))
}

// seedOf returns the seed of one of several runs.
func (j *job) seedOf(number int) uint64 { return j.seed + uint64(number-1) }

// announce tells the other ranks of the next run.
func (t *team) announce(next nextRun) error {
	if t == nil {
		return nil
	}
	text, err := json.Marshal(next)
	if err != nil {
		return err
	}
	_, err = t.control.Gather(text)
	return err
}

// follow trains as a rank other than 0.
func (j *job) follow(ctx context.Context) error {
	if j.runs == 1 {
		return j.followRun(ctx, j.seed, filepath.Join(j.out, j.checkpointFile), j.resume != "")
	}
	for {
		all, err := j.team.control.Gather(nil)
		if err != nil {
			return err
		}
		var next nextRun
		if err := json.Unmarshal(all[0], &next); err != nil {
			return fmt.Errorf("rank 0 names no run: %w", err)
		}
		if next.Number == 0 {
			return nil
		}
		file := filepath.Join(j.out, j.folderOf(next.Number), report.CheckpointFile)
		if err := j.followRun(ctx, j.seedOf(next.Number), file, next.Resume); err != nil {
			return err
		}
	}
}

// followRun makes one run as a rank other than 0, which may continue from a checkpoint.
func (j *job) followRun(ctx context.Context, seed uint64, checkpoint string, resume bool) error {
	cfg := j.config(seed)
	if resume {
		if _, err := os.Stat(checkpoint); err == nil {
			cfg.Resume, cfg.Extend = checkpoint, j.plannedEpochs > 0
		}
	}
	if j.getenv(logsVariable) != "" {
		shown := display.NewLines(j.stdout, display.Run{Data: j.dataName(), Recipe: j.recipe.Name, Number: 1, Of: 1, Seed: seed})
		defer shown.Close()
		cfg.Hooks = []train.Hooks{shown.Hooks()}
	}
	result, err := train.Run(ctx, cfg)
	if err == nil && result.Interrupted {
		return &silentError{exitInterrupted}
	}
	return err
}

// follows reports whether another rank leads.
func (j *job) follows() bool { return j.team != nil && j.team.Rank() > 0 }
