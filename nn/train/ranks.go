package train

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"trainer/nn/device"
	"trainer/nn/ranks"
)

// Several processes, the ranks, can train one network (Config.Ranks). Each computes some of the shards of every batch
// (shards.go), successive ones, and reads only their images. The sums over the shards are then summed over the ranks, so
// that all make the same update:
//
//	rank 0        shards 0 1   ->  sum 0 --.
//	rank 1        shards 2 3   ->  sum 1 ---+-->  sum over all shards  ->  update, on every rank
//	...
//
// The sums are nodes of one tree, whatever the number of ranks, so the weights have the same bits at any number of
// ranks, and a training that was stopped can continue with another number.
//
// Rank 0 leads: it decides what is evaluated, writes checkpoints and calls the hooks (those of the others, for logs, are told
// of steps and epochs). The others follow: they compute steps, help to evaluate (evaluate_ranks.go), and learn at the end of
// an epoch what came of it (verdict). Everything that the course of training depends on is therefore
// either computed alike by all ranks, or decided by rank 0. That training is to stop is voted on with the gradients of a
// step, so that all ranks stop after the same one.

// group is what a training has of its ranks; nil for a single process.
type group struct {
	device.Collective
	sums  []device.AllReduce // of the shards' sums, by bucket; the last has the vote, too
	vote  *device.Tensor     // float32 [2]: the sums of the ranks' votes on the current step
	own   [2]float32         // what this rank votes
	all   [2]float32         // what all ranks have voted on the last step whose votes have arrived
	first int                // shards of this rank
	count int

	votes   [maxRequests]device.AsyncDownload // of the last steps
	counted int                               // votes that have been queued
	err     error                             // of the last sums
	waited  time.Duration                     // for sums, in the current step
	pace    time.Duration                     // computed in the epoch: see lag.go
	behind  int                               // how many of them may be on their way while training goes on
}

// bucketBytes is the least size of the sums of gradients that are sent together: enough for the time of a message to be that
// of its bytes, and little enough for most of the sums to be under way while the backward pass is still running.
const bucketBytes = 1 << 20

// The elements of votes.
const (
	voteToEnd   = iota // training
	voteForSave        // collect the states of the optimiser: see zero.go
)

// What a rank votes to end training after the current step. Less than votesToStop ranks can vote to interrupt it.
const (
	voteInterrupt = 1
	voteStop      = 1 << 20
)

// hasRanks reports whether several ranks train.
func (c *Config) hasRanks() bool { return c.Ranks != nil && c.Ranks.Size() > 1 }

// checkRanks returns an error unless the ranks can share the shards.
func (c *Config) checkRanks() error {
	if !c.hasRanks() {
		return nil
	}
	size, parts := c.Ranks.Size(), c.shards()
	if ranks.Divides(size, parts) {
		return nil
	}
	problem := fmt.Sprintf("%d ranks can't share the %d parts of a batch equally", size, parts)
	if parts == 1 {
		problem = fmt.Sprintf("%d ranks share the parts of a batch, which has only one", size)
	}
	return &ConfigError{Setting: "shards", Problem: fmt.Sprintf(
		"%s: use shards = %d, or 2, 4 or 8 times as many if later runs may have more ranks", problem, size)}
}

// buildGroup prepares the sums over the ranks.
func (s *Stepper) buildGroup() (err error) {
	if s.group == nil {
		return nil
	}
	g := s.group
	if g.vote, err = s.dev.NewTensor(device.Float32, len(g.own)); err != nil {
		return err
	}
	for i := range g.votes {
		if g.votes[i], err = newFetch(s.dev, g.vote.Len()*device.Float32.Size()); err != nil {
			return err
		}
	}
	if _, ok := s.dev.(device.AsyncDownloader); ok {
		g.behind = len(g.votes) - 1
	}
	buckets, err := s.net.OnBucket(bucketBytes, g.startSum)
	if err != nil {
		return err
	}
	buckets[len(buckets)-1] = append(buckets[len(buckets)-1], g.vote)
	for _, list := range buckets {
		sum, err := g.NewAllReduce(device.AllReduceSpec{Tensors: list})
		if err != nil {
			return err
		}
		g.sums = append(g.sums, sum)
	}
	return nil
}

// startSum starts the sums of a bucket while the backward pass goes on.
func (g *group) startSum(bucket int) { g.sums[bucket].Start() }

// newGroup returns the group of several ranks; nil for one.
func newGroup(c *Config) *group {
	if !c.hasRanks() {
		return nil
	}
	count := c.shards() / c.Ranks.Size()
	return &group{Collective: c.Ranks, first: count * c.Ranks.Rank(), count: count}
}

// beginSums uploads this rank's vote before the backward pass that starts the sums over the ranks.
func (s *Stepper) beginSums() error {
	if s.group == nil {
		return nil
	}
	return s.dev.Upload(s.group.vote, device.Bytes(s.group.own[:]))
}

// awaitSums waits until the sums over this rank's shards are those over all shards, or only queues that if the collective
// allows. It reports whether there was no fault.
func (g *group) awaitSums() bool {
	if g == nil {
		return true
	}
	start := time.Now()
	defer func() { g.waited += time.Since(start) }()
	for _, sum := range g.sums {
		if err := sum.Wait(); err != nil {
			g.err = err
			return false
		}
	}
	return true
}

// fault returns the fault of the last sums.
func (g *group) fault() error {
	if g == nil {
		return nil
	}
	return g.err
}

// recordable reports whether the sums can be part of a recorded step.
func (g *group) recordable() bool {
	return g == nil || !slices.ContainsFunc(g.sums, func(s device.AllReduce) bool { return !s.Recordable() })
}

// takeVote requests the ranks' votes on this step, and takes those on the same step or, from a device that works during a
// download, on an earlier one: a device that runs ahead must not be waited for. It is the same step on all ranks.
func (s *Stepper) takeVote() error {
	g := s.group
	if g == nil {
		return nil
	}
	g.votes[g.counted%len(g.votes)].Queue(g.vote)
	g.counted++
	if g.counted <= g.behind {
		return nil
	}
	return g.votes[(g.counted-1-g.behind)%len(g.votes)].Wait(device.Bytes(g.all[:]))
}

// close releases the downloads.
func (g *group) close() (all error) {
	if g == nil {
		return nil
	}
	for _, f := range g.votes {
		if f != nil {
			all = errors.Join(all, f.Close())
		}
	}
	return all
}

// follows reports whether another rank leads this training.
func (r *run) follows() bool { return r.group() != nil && r.group().Rank() > 0 }

func (r *run) group() *group {
	if r.stepper == nil {
		return nil
	}
	return r.stepper.group
}

// stops reports whether training ends before the next step. With several ranks it ends after a step on which one of them
// has voted to end it; the vote that is cast here goes with the next step.
func (r *run) stops(ctx context.Context) bool {
	interrupted, stopped := ctx.Err() != nil, r.stopped != ""
	g := r.group()
	switch {
	case g == nil && !interrupted && !stopped:
		return false
	case g == nil:
		r.interrupted = !stopped
		return true
	case stopped:
		g.own[voteToEnd] = voteStop
	case interrupted:
		g.own[voteToEnd] = voteInterrupt
	}
	g.own[voteForSave] = 0
	if r.divided != nil && r.divided.wanted {
		g.own[voteForSave] = 1
	}
	if g.all[voteToEnd] == 0 {
		return false
	}
	r.interrupted = g.all[voteToEnd] < voteStop
	if !r.interrupted && !stopped {
		r.stopped = stoppedByLeader
	}
	return true
}

// stoppedByLeader is why a rank that follows has stopped.
const stoppedByLeader = "rank 0 has stopped training"

// verdict is what the ranks that follow learn of an epoch that rank 0 has evaluated.
type verdict struct {
	History     metricsList `json:"history"` // the epoch's metrics; empty if it was not evaluated
	Interrupted bool        `json:"interrupted"`
	Stopped     string      `json:"stopped"`
	Error       string      `json:"error"`
}

// closeEpoch ends an epoch: rank 0 does the work, and the others learn its verdict. All check that they have the same weights.
func (r *run) closeEpoch(ctx context.Context) error {
	g := r.group()
	if g == nil {
		return r.endEpoch(ctx)
	}
	if err := r.sameWeights(); err != nil {
		return err
	}
	if err := r.collectStateIfDue(); err != nil {
		return err
	}
	if err := r.findLag(); err != nil {
		return err
	}
	if r.follows() {
		return r.followEpoch(ctx)
	}
	before := len(r.history)
	err := r.endEpoch(ctx)
	if isAgreed(err) { // of an evaluation in which all take part
		return err
	}
	v := verdict{History: r.history[before:], Interrupted: r.interrupted, Stopped: r.stopped}
	if err != nil {
		v.Error = err.Error()
	}
	return errors.Join(err, r.command(order{Verdict: &v}))
}

// followEpoch helps rank 0 to evaluate, and learns what came of an epoch.
func (r *run) followEpoch(ctx context.Context) error {
	r.snapshot.take(r.stepper.step)
	v, err := r.obey(ctx)
	if err != nil {
		return err
	}
	if v.Error != "" {
		return &ranks.AgreedError{Err: &ranks.RankError{Rank: 0, Reason: v.Error}}
	}
	r.interrupted, r.stopped = v.Interrupted, v.Stopped
	for _, m := range v.History {
		r.history = append(r.history, m)
		r.informSchedule(m)
		r.epoch, r.logged = totals{}, totals{}
		if err := r.statistics.begin(r.epoch); err != nil {
			return err
		}
		for _, h := range r.hooks {
			if h.Epoch != nil {
				h.Epoch(&r.training, m)
			}
		}
	}
	return nil
}

// evaluateKept evaluates the weights that are kept, on all ranks.
func (r *run) evaluateKept(ctx context.Context) error {
	switch {
	case r.follows():
		_, err := r.obey(ctx)
		return err
	case r.group() == nil:
		return r.evaluateLast(ctx)
	}
	err := r.evaluateLast(ctx)
	if isAgreed(err) {
		return err
	}
	v := verdict{Interrupted: r.interrupted}
	return errors.Join(err, r.command(order{Verdict: &v}))
}

// sameWeights returns an error unless all ranks have the same weights, to the bit: a machine that computes otherwise would
// go unnoticed, since its gradients enter the sums like any others.
func (r *run) sameWeights() error {
	sum := sha256.New()
	var bytes []byte
	for _, t := range networkTensors(r.stepper.net) {
		n := t.Tensor.Len() * t.Tensor.DType().Size()
		bytes = slices.Grow(bytes[:0], n)[:n]
		if err := r.stepper.dev.Download(bytes, t.Tensor); err != nil {
			return err
		}
		sum.Write(bytes)
	}
	return ranks.Same(r.group(), sum.Sum(nil), func(_, _ []byte) string {
		return fmt.Sprintf("its weights after step %d are not those of rank 0: it does not compute the same", r.stepper.step)
	})
}

// sameSettings returns an error unless all ranks have the settings that decide the weights' bits. The data set may have
// another name, because a folder may be elsewhere on another machine: its images count.
func (r *run) sameSettings() error {
	list, _ := alike(settings(r.stepper, r.stepper.total), []condition{{imagesSetting, ""}})
	list = append(list,
		condition{"zero-stage", fmt.Sprint(r.cfg.ZeroStage)},
		condition{"views", describe(r.cfg.TTA)},
		condition{"views-share", fmt.Sprint(r.cfg.TTAShare)},
		condition{"instruction sets", fmt.Sprint(r.stepper.dev.Info().Features)},
		condition{"number of steps done", fmt.Sprint(r.stepper.step)})
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return ranks.Same(r.group(), text, func(its, first []byte) string {
		var a, b conditionList
		if json.Unmarshal(its, &a) != nil || json.Unmarshal(first, &b) != nil {
			return "it has other settings than rank 0"
		}
		return differingSetting(a, b)
	})
}

// differingSetting names a setting in which a rank differs from rank 0: the images, if they differ, otherwise the first.
func differingSetting(its, first []condition) string {
	of := map[string]string{}
	for _, c := range first {
		of[c.Name] = c.Value
	}
	found := ""
	for _, c := range its {
		if value, ok := of[c.Name]; !ok || value != c.Value {
			a, b := excerpts(c.Value, value)
			text := fmt.Sprintf("%s is %s, on rank 0 %s", c.Name, a, b)
			if c.Name == trainingImages {
				return text
			}
			found = cmp.Or(found, text)
		}
	}
	return cmp.Or(found, "it lacks settings that rank 0 has")
}

// agree makes an error of one rank before the first step one of all ranks, and checks that their settings are alike.
func (r *run) agree(err error) error {
	if !r.cfg.hasRanks() || isAgreed(err) {
		return err
	}
	if err = ranks.Agree(r.cfg.Ranks, err); err != nil {
		return err
	}
	return r.sameSettings()
}

func isAgreed(err error) bool {
	_, ok := errors.AsType[*ranks.AgreedError](err)
	return ok
}

// followed returns the error of a rank that follows. Rank 0 finds the same divergence in the same sums, and tells of it.
func followed(err error) error {
	if _, ok := errors.AsType[*DivergedError](err); ok {
		return &ranks.AgreedError{Err: err}
	}
	return err
}

// normalizeAlike fills in the mean and the standard deviation of the training set if none are given. With several ranks,
// rank 0 computes them for all: the others read only their part of the images.
func (c *Config) normalizeAlike() error {
	if c.Augment.Mean != nil || !c.hasRanks() {
		return c.normalization()
	}
	var err error
	if c.Ranks.Rank() == 0 {
		err = c.normalization()
	}
	if err := ranks.Agree(c.Ranks, err); err != nil {
		return err
	}
	_, _, channels := c.Data.Train.ImageShape()
	both := make([]float32, 2*channels)
	copy(both, c.Augment.Mean)
	copy(both[channels:], c.Augment.Std)
	if err := c.Ranks.Broadcast(device.Bytes(both), 0); err != nil {
		return err
	}
	c.Augment.Mean, c.Augment.Std = both[:channels], both[channels:]
	return nil
}
