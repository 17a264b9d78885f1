package command

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"trainer/nn/device"
	"trainer/nn/ranks"
	"trainer/nn/ranks/star"
)

// Which device a rank computes on, and how the devices of the ranks are connected: GPUs by a library of their own, CPUs by MPI.

// place finds out how many ranks this machine has, and which of them this one is.
func (t *team) place() error {
	all, err := t.control.Gather([]byte(ranks.Host()))
	if err != nil {
		return err
	}
	t.env.LocalRank, t.env.LocalSize = 0, 0
	for rank, host := range all {
		if string(host) != ranks.Host() {
			continue
		}
		t.env.LocalSize++
		if rank < t.Rank() {
			t.env.LocalRank++
		}
	}
	return nil
}

// deviceKind returns the kind that -device auto stands for with several ranks: GPUs if every rank has one, otherwise the CPU. All ranks
// call it, with whether -device is auto.
func (p *program) deviceKind(t *team, auto bool) (string, error) {
	first, found := p.Devices[0], byte(0)
	if t.env.Launcher == ranks.OwnLauncher { // -gpus
		return first.Name, nil
	}
	if auto && first.Connect != nil {
		if n, err := first.Count(); err == nil && n > 0 {
			found = 1
		}
	}
	if t.Transport == nil {
		return p.host().Name, nil
	}
	all, err := t.control.Gather([]byte{found})
	if err != nil {
		return "", err
	}
	for _, one := range all {
		if len(one) != 1 || one[0] == 0 {
			return p.host().Name, nil
		}
	}
	return first.Name, nil
}

// rankDevice makes -device the one of this rank.
func (j *job) rankDevice() error {
	if j.team == nil {
		return nil
	}
	kind, _, err := j.parseDevice(j.device)
	if err != nil {
		return err
	}
	if kind.Connect == nil {
		if t := j.team; !t.env.MPI {
			return usageErrorf("%s started this process as one of %d ranks, and ranks on CPUs connect by MPI: use mpirun -n %d trainer ...", t.env.Launcher, t.Size(), t.Size())
		}
		return nil
	}
	index := j.team.gpu
	if index < 0 {
		n, err := kind.Count()
		if err != nil {
			return j.openError(j.device, kind, err)
		}
		if index = j.team.env.LocalRank; n == 1 {
			index = 0 // the launcher may show each rank a GPU of its own
		}
		if index >= n {
			return usageErrorf("%d ranks on %s, which has %d GPUs: start one rank per GPU", j.team.env.LocalSize, ranks.Host(), n)
		}
	}
	j.device = fmt.Sprintf("%s:%d", kind.Name, index)
	return nil
}

// shareBatches splits the batches among the GPUs unless the recipe or a flag has split them.
func (j *job) shareBatches() error {
	kind, _, err := j.parseDevice(j.device)
	if j.team == nil || err != nil || kind.Connect == nil || j.recipe.Shards > 1 || j.resume != "" {
		return nil
	}
	j.changes = append(j.changes, fmt.Sprintf("shards=%d", j.team.Size()))
	j.recipe, err = j.Kinds.Load(j.name, j.changes...)
	return err
}

// connect connects the device with those of the other ranks, if that is for the device to do.
func (j *job) connect() error {
	t := j.team
	if t == nil {
		return nil
	}
	kind := j.kindOf(j.dev)
	if kind.Connect == nil {
		t.tensors = ranks.New(t.Transport, j.dev)
		return nil
	}
	limit, err := ranks.Patience(j.getenv)
	if err != nil {
		return &usageError{err.Error()}
	}
	t.tensors, err = kind.Connect(t.alive, j.dev, t.control, device.ConnectOptions{Patience: limit, Stuck: func(s device.Stuck) { t.stuck(s, limit) }})
	if err != nil {
		if remedy := kind.Remedy(err); remedy != "" {
			return &trainingError{oneLine(err) + "; " + remedy, err}
		}
		return err
	}
	if counted, ok := t.tensors.(interface{ Sums() uint64 }); ok {
		if s, ok := t.Transport.(*star.Transport); ok {
			s.SetProgress(counted.Sums)
		}
	}
	return nil
}

// stuck ends the training, because a sum over the GPUs doesn't end. The rank that knows most tells: one whose own GPU is at
// fault, or else rank 0, which knows how far the others are, or else any.
func (t *team) stuck(s device.Stuck, limit time.Duration) {
	of := &ranks.RankError{Rank: t.Rank(), Host: ranks.Host(), Reason: fmt.Sprintf("a sum over the GPUs, which all ranks have begun, has not ended for %v", limit)}
	wait := time.Duration(cmp.Compare(t.Rank(), 0)) * 3 * time.Second
	switch {
	case !s.Reached:
		of.Reason = fmt.Sprintf("its GPU has not done for %v what comes before a sum over the GPUs", limit)
		wait = 0
	case t.Rank() == 0:
		wait = time.Second
	}
	if transport, ok := t.Transport.(*star.Transport); ok {
		if behind := transport.Behind(s.Sums); behind != nil && s.Reached {
			of = behind
			of.Reason = fmt.Sprintf("the others have waited for it for %v", limit)
		}
	}
	select {
	case <-t.alive.Done(): // another rank has told
	case <-time.After(wait):
		t.fail(of)
	}
}

// fail ends what waits for other ranks on the device, because of an error.
func (t *team) fail(err error) {
	if t != nil && t.cancel != nil && err != nil {
		t.cancel(err)
	}
}

// monitor makes a failure of another rank end what waits for it on the device.
func (t *team) monitor() {
	t.alive, t.cancel = context.WithCancelCause(context.Background())
	m, ok := t.Transport.(ranks.Monitored)
	if !ok {
		return
	}
	go func() {
		select {
		case <-m.Failed():
			t.cancel(m.Failure())
		case <-t.alive.Done():
		}
	}()
}

// failure returns the error of another rank in place of one that follows from it, such as that of a library that has lost a
// connection, if it becomes known within a second.
func (t *team) failure(err error) error {
	m, ok := t.Transport.(ranks.Monitored)
	if !ok || isA[*ranks.RankError](err) || !strings.Contains(err.Error(), "nccl") {
		return err
	}
	select {
	case <-m.Failed():
		return m.Failure()
	case <-time.After(time.Second):
		return err
	}
}
