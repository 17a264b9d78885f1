package train

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"

	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/metric"
	"trainer/nn/optim"
	"trainer/nn/ranks"
)

// Ranks share an evaluation by whole batches, so that each batch gives the bits that it gives a single process. They take
// turns of some batches each:
//
//	round 0      rank 0: batches 0..15     rank 1: batches 16..31
//	round 1      rank 0: batches 32..47    ...
//
// After a round every rank tells the others what its batches gave, and rank 0 adds that up in the order of the batches. Rank 0
// decides what is evaluated: the others obey its orders until it has a verdict on the epoch (ranks.go). An error of one rank,
// or the cancellation of rank 0's context, ends the evaluation on all after the round.

// batchesPerTurn is the number of batches that a rank evaluates in a round.
const batchesPerTurn = 16

// order is what rank 0 tells the others to do between two steps: either an evaluation, or to go on.
type order struct {
	Evaluate *evaluationOrder `json:"evaluate,omitempty"`
	Verdict  *verdict         `json:"verdict,omitempty"`
}

// evaluationOrder is an evaluation in which all ranks take part.
type evaluationOrder struct {
	Test     bool  `json:"test"`     // of the test set, otherwise of the validation set
	Averaged bool  `json:"averaged"` // with the moving averages of the weights
	Sent     bool  `json:"sent"`     // with rank 0's weights, which it sends next
	Views    bool  `json:"views"`    // with all views of each image
	Answers  bool  `json:"answers"`  // wanted for each image
	Images   []int `json:"images"`   // indices; nil means all
}

// evaluationRanks is what an Evaluator has of the ranks that share its passes.
type evaluationRanks struct {
	device.Collective
	// begin tells the others of a pass; nil on a rank that follows.
	begin func(o evaluationOrder) error
}

// turn is what a rank tells of its batches of a round.
type turn struct {
	Cancelled bool // the context of rank 0 is
	Host      string
	Error     string
	Batches   []judged
}

// judged is what the evaluation of a batch gives.
type judged struct {
	Stats   [device.StatsLen]float32
	Images  int
	Answers []metric.Answer // to the images whose label is not ignored; only image, label and class if no more is wanted
}

// command sends an order to the other ranks.
func (r *run) command(o order) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = r.group().Gather(text)
	return err
}

// obey does what rank 0 orders until it has a verdict.
func (r *run) obey(ctx context.Context) (*verdict, error) {
	for {
		all, err := r.group().Gather(nil)
		if err != nil {
			return nil, err
		}
		var o order
		if err := json.Unmarshal(all[0], &o); err != nil {
			return nil, fmt.Errorf("rank 0 sent no order: %w", err)
		}
		if o.Evaluate == nil {
			return o.Verdict, nil
		}
		if err := r.help(ctx, o.Evaluate); err != nil {
			return nil, err
		}
	}
}

// help takes part in an evaluation. The end of the context doesn't matter: rank 0 says when to stop.
func (r *run) help(ctx context.Context, o *evaluationOrder) error {
	if o.Averaged {
		r.stepper.opt.SwapIn()
		defer r.stepper.opt.SwapOut()
	}
	if o.Sent {
		if err := broadcastTensors(r.group(), r.stepper.dev, networkTensors(r.stepper.net)); err != nil {
			return err
		}
		r.stepper.net.WeightsChanged()
	}
	on, views := r.validator, plain
	if o.Test {
		on = r.evaluator
	}
	if o.Views {
		views = on.views.views
	}
	_, err := on.passOverRanks(context.WithoutCancel(ctx), views, o.Images, o.Answers, nil)
	if errors.Is(err, context.Canceled) { // on rank 0, which says what follows
		return nil
	}
	return err
}

// broadcastTensors gives all ranks the values that tensors have on rank 0.
func broadcastTensors(c device.Collective, dev device.Device, list []optim.Named) error {
	for _, t := range list {
		values := make([]byte, t.Tensor.Len()*t.Tensor.DType().Size())
		if c.Rank() == 0 {
			if err := dev.Download(values, t.Tensor); err != nil {
				return err
			}
		}
		if err := c.Broadcast(values, 0); err != nil {
			return err
		}
		if c.Rank() > 0 {
			if err := dev.Upload(t.Tensor, values); err != nil {
				return err
			}
		}
	}
	return nil
}

// shareEvaluations makes the ranks share the passes of an evaluator.
func (r *run) shareEvaluations(e *Evaluator) {
	g := r.group()
	if e == nil || g == nil {
		return
	}
	e.ranks = &evaluationRanks{Collective: g}
	if r.follows() {
		return
	}
	e.ranks.begin = func(o evaluationOrder) error {
		o.Test = e == r.evaluator
		o.Averaged, o.Sent = !r.ended && r.evaluated().averaged, r.ended
		if err := r.command(order{Evaluate: &o}); err != nil || !o.Sent {
			return err
		}
		return broadcastTensors(g, r.stepper.dev, networkTensors(r.stepper.net))
	}
}

// passOverRanks is this rank's part of a pass over the images with the given indices, nil meaning all. All ranks call it
// together; only rank 0 gets a result.
func (e *Evaluator) passOverRanks(ctx context.Context, views []TTAView, images []int, answers bool, progress func(done int)) (*Evaluation, error) {
	p := &rankedPass{Evaluator: e, images: images, views: views, answers: answers, progress: progress}
	if images == nil {
		p.images = make([]int, e.set.Len())
		for i := range p.images {
			p.images[i] = i
		}
	}
	if e.ranks.Rank() == 0 {
		p.result = e.newEvaluation(answers)
	}
	return p.result, p.run(ctx)
}

// rankedPass is a pass that ranks share.
type rankedPass struct {
	*Evaluator
	images   []int
	views    []TTAView
	answers  bool
	progress func(done int)
	result   *Evaluation // nil on a rank that follows
	counted  int         // images in the result

	whole      *data.Loader // the evaluator's, while the pass has one of its own; otherwise nil
	restricted []int        // the evaluator's images
}

// own returns the images of this rank's batches of all rounds, and the number of rounds.
func (p *rankedPass) own() (own []int, rounds int) {
	turn := batchesPerTurn * p.net.Batch()
	round := turn * p.ranks.Size()
	for from := turn * p.ranks.Rank(); from < len(p.images); from += round {
		own = append(own, p.images[from:min(from+turn, len(p.images))]...)
	}
	return own, (len(p.images) + round - 1) / round
}

func (p *rankedPass) run(ctx context.Context) error {
	own, rounds := p.own()
	err := p.open(ctx, own)
	defer p.close()
	for range rounds {
		var t turn
		if err == nil {
			t.Batches, err = p.turn(ctx)
		}
		if stop := p.exchange(ctx, &t, err); stop != nil {
			p.abandon()
			return stop
		}
	}
	if p.result != nil {
		p.result.finish()
	}
	return nil
}

// open prepares the batches of this rank.
func (p *rankedPass) open(ctx context.Context, own []int) error {
	if err := p.input.load(ctx); err != nil {
		return err
	}
	p.dev.Zero(p.net.Stats())
	if len(own) == 0 {
		return nil
	}
	loader, err := data.NewLoader(data.LoaderConfig{Set: data.Subset(p.set, own), Batch: p.net.Batch(), IDsOnly: p.input.resident()})
	if err != nil {
		return err
	}
	p.whole, p.restricted = p.loader, p.Evaluator.images
	p.loader, p.Evaluator.images = loader, own
	loader.Start(0, 0)
	return nil
}

// close gives the evaluator its own loader again.
func (p *rankedPass) close() {
	if p.whole != nil {
		p.loader.Close()
		p.loader, p.Evaluator.images = p.whole, p.restricted
	}
}

// turn evaluates this rank's batches of a round.
func (p *rankedPass) turn(ctx context.Context) (batches []judged, err error) {
	if p.whole == nil { // no batches
		return nil, nil
	}
	return batches, p.batchesOf(ctx, p.views, batchesPerTurn, p.answers, func(j *judged) {
		batches = append(batches, *j)
	})
}

// exchange tells the other ranks of this rank's turn, and adds everyone's to the result. It returns an error if a rank has
// one, or if rank 0 is to stop.
func (p *rankedPass) exchange(ctx context.Context, own *turn, err error) error {
	cancelled := err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err())
	own.Host, own.Cancelled = ranks.Host(), cancelled
	if err != nil && !cancelled {
		own.Error = err.Error()
	}
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(own); err != nil {
		return err
	}
	all, gatherErr := p.ranks.Gather(text.Bytes())
	if gatherErr != nil {
		return errors.Join(err, gatherErr)
	}
	stop := false
	for rank, text := range all {
		var t turn
		if err := gob.NewDecoder(bytes.NewReader(text)).Decode(&t); err != nil {
			return fmt.Errorf("rank %d sent no results: %w", rank, err)
		}
		if t.Error != "" {
			if rank != p.ranks.Rank() {
				err = &ranks.RankError{Rank: rank, Host: t.Host, Reason: t.Error}
			}
			return &ranks.AgreedError{Err: err}
		}
		stop = stop || t.Cancelled
		p.count(t.Batches)
	}
	if stop {
		return context.Canceled
	}
	return nil
}

// count adds batches to rank 0's result.
func (p *rankedPass) count(batches []judged) {
	if p.result == nil {
		return
	}
	for i := range batches {
		p.result.add(&batches[i])
		p.counted += batches[i].Images
	}
	if p.progress != nil {
		p.progress(p.counted)
	}
}
