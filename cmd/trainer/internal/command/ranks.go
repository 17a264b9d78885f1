package command

import (
	"context"
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
func (p *program) joinRanks() (*team, error) {
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
		if t.Transport, err = t.openStar(p); err != nil {
			return nil, t.refuse(err)
		}
		return t, p.greet(t)
	}
	if t.Transport, err = mpi.Open(p.getenv, t.lags); err != nil {
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
func (t *team) openStar(p *program) (ranks.Transport, error) {
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
	conns, err := t.meet(p)
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

// leave ends this rank. After an error that only this rank knows it tells of it, and ends the others.
func (p *program) leave(t *team, err error) error {
	if t == nil || t.Transport == nil {
		return err
	}
	defer t.children.finish()
	if err != nil {
		err = t.failure(err)
	}
	agreed := isA[*ranks.AgreedError](err)
	if err == nil || agreed || isA[*interruptedError](err) || isA[*silentError](err) {
		if closeErr := t.Close(); err == nil {
			return closeErr
		}
		if agreed && t.Rank() > 0 {
			return &silentError{exitStatus(err)}
		}
		return err
	}
	of, other := errors.AsType[*ranks.RankError](err)
	if other && of.Told {
		return &silentError{exitEnvironment}
	}
	if other && t.env.MPI { // all ranks that are left find out: the lowest tells
		time.Sleep(time.Duration(min(t.Rank(), maxWaits)) * time.Second)
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

// maxWaits is the largest number of seconds that a rank waits for a lower one to tell of an error.
const maxWaits = 5

// shareTraining refuses what several ranks don't do, and sets the device and the number of threads of a rank: the ranks of
// a machine share its processors, unless the launcher has given each its own.
func (p *program) shareTraining(o *options, t *team) error {
	if t == nil {
		return nil
	}
	if o.device == auto {
		var err error
		if o.device, err = p.deviceKind(t); err != nil {
			return err
		}
	}
	kind, _, err := p.parseDevice(o.device)
	if err != nil {
		return err
	}
	switch {
	case o.runs > 1 || o.folds > 0:
		return usageErrorf("several ranks make one run: -runs and -folds need a single process")
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

// follow trains as a rank other than 0.
func (j *job) follow(ctx context.Context) error {
	cfg := j.config(j.seed)
	if j.resume != "" {
		file := filepath.Join(j.out, j.checkpointFile)
		if _, err := os.Stat(file); err == nil {
			cfg.Resume, cfg.Extend = file, j.plannedEpochs > 0
		}
	}
	if j.getenv(logsVariable) != "" {
		shown := display.NewLines(j.stdout, display.Run{Data: j.dataName(), Recipe: j.recipe.Name, Number: 1, Of: 1, Seed: j.seed})
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
