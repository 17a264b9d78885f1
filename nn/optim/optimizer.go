package optim

import (
	"errors"
	"fmt"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/setting"
)

// Optimizer updates the parameters of one network. After New it allocates nothing.
type Optimizer struct {
	dev         device.Device
	cfg         Config
	schedule    Schedule
	total       int          // steps in the whole training
	perEpoch    int          // steps per epoch
	evaluations []Evaluation // results on the validation set, oldest first
	rateChanges []RateChange // of all learning rates, by rising steps

	updates []*Update
	clip    device.Clip            // nil means no clipping
	rows    []row                  // one per group, and one for the parameters in no group
	fills   []func([]float32, int) // fill functions of the rows; nil if a rule has none
	hyper   *device.Tensor         // float32 [rows, device.HyperLen]
	host    []float32              // the values to upload next to hyper

	scheduled    float64 // momentum that the schedule sets, while the fill functions run
	hasScheduled bool    // it sets one

	scratch []*device.Tensor // for composed updates, each of the largest parameter's size
	largest int              // number of elements of the largest parameter

	averaged  []*nn.Param // trained parameters and state
	lookahead *average
	ema       *average
	spare     []*device.Tensor // EMA's space for exchanges: views of one buffer
	swapped   bool

	part    *partition // nil if this process updates all parameters
	tensors []Named
	memory  int64
}

// Named is a tensor with a name that is the same in every run.
type Named struct {
	Name   string
	Tensor *device.Tensor
	Piece  *Piece // the part of the tensor of that name that it is; nil if it is the whole
}

// average holds averages of the weights, and the plan that updates them.
type average struct {
	plan     device.Average // nil if all parameters thaw
	thawed   device.Average // of the parameters and states that thaw; nil without any
	averages []*device.Tensor
	weights  *device.Tensor // float32 [2], of the old average and of the weights
	host     [2]float32     // its next contents
}

// New returns an optimiser of those params that have a gradient; Lookahead and EMA average
// state as well. totalSteps is the number of steps in the training, which the schedule
// depends on, and stepsPerEpoch the number of steps in an epoch. A schedule of a group (Group.Schedule) replaces the
// given one. If cfg or schedule is invalid, the error is a *ConfigError that says what would be valid; otherwise it comes
// from the device.
func New(dev device.Device, params, state []*nn.Param, cfg Config, schedule Schedule, totalSteps, stepsPerEpoch int) (*Optimizer, error) {
	o := &Optimizer{dev: dev, cfg: cfg, schedule: schedule, total: totalSteps, perEpoch: stepsPerEpoch}
	if schedule == nil {
		o.schedule = Constant{}
	}
	o.schedule = complete(o.schedule)
	if err := o.build(params, state); err != nil {
		return nil, fmt.Errorf("optimizer: %w", err)
	}
	return o, nil
}

func (o *Optimizer) build(params, state []*nn.Param) error {
	rows, rules, err := rowsOf(o.cfg, o.schedule)
	if err == nil {
		err = o.check()
	}
	if err != nil {
		return &ConfigError{err}
	}
	trained := make([]*nn.Param, 0, len(params))
	var frozen []*nn.Param
	for _, p := range params {
		if p.Grad != nil {
			trained = append(trained, p)
		} else {
			frozen = append(frozen, p)
		}
	}
	if len(trained) == 0 {
		return &ConfigError{errors.New("the network has no parameters that are trained")}
	}
	o.rows = thawing(rows, o.cfg.ThawEpoch, trained)
	for _, p := range trained {
		o.largest = max(o.largest, p.Value.Len())
	}
	if err := o.buildUpdates(rules, trained, frozen); err != nil {
		return err
	}
	if err := o.buildClip(trained); err != nil {
		return err
	}
	state = slices.DeleteFunc(slices.Clone(state), func(p *nn.Param) bool { return p.Frozen })
	return o.buildAverages(append(trained, state...))
}

// check returns an error if a setting is invalid.
func (o *Optimizer) check() error {
	if o.total < 1 || o.perEpoch < 1 {
		return fmt.Errorf("%d steps of training, %d an epoch: need at least 1 of each", o.total, o.perEpoch)
	}
	if err := setting.Check(o.schedule); err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	return o.cfg.check()
}

// buildUpdates makes the hyperparameters and the update of each rule.
func (o *Optimizer) buildUpdates(rules []ruleOf, trained, frozen []*nn.Param) error {
	rowOf, err := assign(o.cfg.Groups, trained, frozen)
	if err != nil {
		return &ConfigError{err}
	}
	for i, p := range trained {
		if p.Thaws {
			rowOf[i] += len(o.cfg.Groups) + 1
		}
	}
	if o.hyper, err = o.tensor(len(o.rows), device.HyperLen); err != nil {
		return err
	}
	o.host = make([]float32, len(o.rows)*device.HyperLen)
	o.fills = make([]func([]float32, int), len(o.rows))
	pieces, of := trained, countTo(len(trained))
	if o.cfg.Partition != nil {
		pieces, of, err = o.divide(trained, func(i int) Rule { return rules[o.rows[rowOf[i]].rule].Rule })
		if err != nil {
			return err
		}
	}
	for k, rule := range rules {
		u := &Update{o: o, name: rule.Kind(), decoupled: rule.decoupled, kept: map[*device.Tensor]bool{}}
		for i, p := range pieces {
			row := rowOf[of[i]]
			if r := o.rows[row]; r.rule == k {
				u.params = append(u.params, Param{Param: p, index: row, decay: r.decay, freeze: r.untilEpoch > 0 || r.fromEpoch > 0})
			}
		}
		if len(u.params) == 0 { // every parameter is in a group with a rule of its own, or belongs to another rank
			continue
		}
		if err := rule.Build(u); err != nil {
			return &ConfigError{fmt.Errorf("%s: %w", rule.Kind(), err)}
		}
		if u.err != nil {
			return u.err
		}
		for i, r := range o.rows {
			if r.rule != k {
				continue
			}
			if changesMomentum(r.schedule) && !u.momentum {
				return &ConfigError{fmt.Errorf("the schedule changes the momentum, and %s has none: use another rule, or a schedule without a momentum", rule.Kind())}
			}
			o.fills[i] = u.fill
		}
		o.updates = append(o.updates, u)
	}
	return nil
}

// buildClip makes the plan for clipping, which covers the gradients of all groups.
func (o *Optimizer) buildClip(trained []*nn.Param) (err error) {
	if !o.cfg.Clip.enabled() {
		return nil
	}
	spec := device.ClipSpec{MaxNorm: float32(o.cfg.Clip.MaxNorm), MaxValue: float32(o.cfg.Clip.MaxValue), Scaling: trained[0].Scaling}
	for _, p := range trained {
		spec.Grads = append(spec.Grads, p.StepGrad())
	}
	o.clip, err = o.dev.NewClip(spec)
	return err
}

// buildAverages makes Lookahead's and EMA's copies of the weights.
func (o *Optimizer) buildAverages(averaged []*nn.Param) error {
	o.averaged = averaged
	var err error
	if o.cfg.Lookahead != nil {
		if o.lookahead, err = o.average("lookahead.", true); err != nil {
			return err
		}
	}
	if o.cfg.EMA == nil {
		return nil
	}
	if o.ema, err = o.average("ema.", false); err != nil {
		return err
	}
	largest := 0
	for _, p := range averaged {
		largest = max(largest, p.Value.Len())
	}
	spare, err := o.tensor(largest)
	if err != nil {
		return err
	}
	for _, p := range averaged {
		o.spare = append(o.spare, spare.View(p.Value.Shape()...))
	}
	return nil
}

func (o *Optimizer) average(prefix string, copyBack bool) (*average, error) {
	a := &average{}
	spec, thaws := device.AverageSpec{CopyBack: copyBack}, device.AverageSpec{CopyBack: copyBack}
	for _, p := range o.averaged {
		t, err := o.state(prefix+p.Name, p)
		if err != nil {
			return nil, err
		}
		o.dev.Copy(t, p.Value)
		a.averages = append(a.averages, t)
		into := &spec
		if p.Thaws {
			into = &thaws
		}
		into.Src, into.Dst = append(into.Src, p.Value), append(into.Dst, t)
	}
	var err error
	if a.weights, err = o.tensor(2); err != nil {
		return nil, err
	}
	if len(spec.Src) > 0 {
		if a.plan, err = o.dev.NewAverage(spec); err != nil {
			return nil, err
		}
	}
	if len(thaws.Src) > 0 {
		a.thawed, err = o.dev.NewAverage(thaws)
	}
	return a, err
}

// run queues the averages. Those of parameters that are still frozen are left out, because rounding would change them.
func (a *average) run(frozen bool) {
	if a.plan != nil {
		a.plan.Run(a.weights)
	}
	if a.thawed != nil && !frozen {
		a.thawed.Run(a.weights)
	}
}

// state allocates a tensor of zeros in the parameter's shape, which checkpoints keep.
func (o *Optimizer) state(name string, p *nn.Param) (*device.Tensor, error) {
	t, err := o.tensor(p.Value.Shape()...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	named := Named{Name: name, Tensor: t}
	if o.part != nil {
		if piece, ok := o.part.of[p]; ok {
			named.Piece = &piece
			o.part.own = append(o.part.own, named)
		}
	}
	o.tensors = append(o.tensors, named)
	return t, nil
}

// countTo returns 0, 1, ..., n-1.
func countTo(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

func (o *Optimizer) tensor(shape ...int) (*device.Tensor, error) {
	t, err := o.dev.NewTensor(device.Float32, shape...)
	if err != nil {
		return nil, err
	}
	o.memory += int64(t.Len()) * int64(device.Float32.Size())
	return t, nil
}

// Restart gives the optimiser the state in which New leaves one, for weights that have been initialised again. Rules must
// keep nothing from step to step but what Update.State returns.
func (o *Optimizer) Restart() {
	for _, t := range o.tensors {
		o.dev.Zero(t.Tensor)
	}
	for _, a := range []*average{o.lookahead, o.ema} {
		if a == nil {
			continue
		}
		for i, p := range o.averaged {
			o.dev.Copy(a.averages[i], p.Value)
		}
	}
	o.evaluations, o.swapped = nil, false
}

// Tensors returns what a checkpoint must keep, under stable names such as
// "sgd.velocity.conv1.weight". Between SwapIn and SwapOut their contents are exchanged with
// the averages.
func (o *Optimizer) Tensors() []Named { return o.tensors }

// Memory returns the bytes that the optimiser allocated.
func (o *Optimizer) Memory() int64 { return o.memory }

// LR returns the learning rate of parameters that are in no group, at the step, counted from 0.
func (o *Optimizer) LR(step int) float64 {
	return o.cfg.LR * o.schedule.Factor(o.progress(step)) * o.rateFactor(step)
}

// LROf is LR in a training of another number of steps.
func (o *Optimizer) LROf(step, totalSteps int) float64 {
	p := o.progress(step)
	p.Total = totalSteps
	return o.cfg.LR * o.schedule.Factor(p) * o.rateFactor(step)
}

// NeedsEvaluations reports whether a schedule follows the results on the validation set: they must then be passed to
// AddEvaluation.
func (o *Optimizer) NeedsEvaluations() bool {
	return slices.ContainsFunc(o.rows, func(r row) bool { return needsEvaluations(r.schedule) })
}

// AddEvaluation adds a result for schedules to follow, after those of earlier steps. A resumed training first adds the
// results from before.
func (o *Optimizer) AddEvaluation(e Evaluation) { o.evaluations = append(o.evaluations, e) }

// progress returns the position of a step, with the evaluations before it.
func (o *Optimizer) progress(step int) Progress {
	known := len(o.evaluations)
	for known > 0 && o.evaluations[known-1].Step > step {
		known--
	}
	return Progress{Step: step, Total: o.total, StepsPerEpoch: o.perEpoch, Evaluations: o.evaluations[:known]}
}

// Prepare uploads what the step, counted from 0, needs: the learning rates, and the decays
// of the averages that are due.
func (o *Optimizer) Prepare(step int) error {
	p, factor := o.progress(step), o.rateFactor(step)
	for i, r := range o.rows {
		hyper := o.host[i*device.HyperLen : (i+1)*device.HyperLen]
		frozen := r.isFrozen(p)
		clear(hyper)
		hyper[device.HyperLR] = float32(r.lr * r.schedule.Factor(p) * r.lrScale * factor)
		if frozen {
			hyper[device.HyperLR], hyper[device.HyperFrozen] = 0, 1
		}
		if !frozen || r.fromEpoch == 0 { // what thaws later must not gather momentum from its decay
			hyper[device.HyperWeightDecay] = float32(r.decay)
		}
		hyper[device.HyperCorrection1], hyper[device.HyperCorrection2], hyper[device.HyperGradScale] = 1, 1, 1
		if o.fills[i] != nil {
			o.scheduled, o.hasScheduled = momentum(r.schedule, p)
			o.fills[i](hyper, r.ruleStep(p))
		}
	}
	if err := o.dev.Upload(o.hyper, device.Bytes(o.host)); err != nil {
		return fmt.Errorf("optimizer: %w", err)
	}
	return o.prepareAverages(step)
}

func (o *Optimizer) prepareAverages(step int) error {
	if o.lookahead != nil {
		if decay, due := o.cfg.Lookahead.decay(step, o.total); due {
			if err := o.lookahead.prepare(o.dev, decay); err != nil {
				return fmt.Errorf("lookahead: %w", err)
			}
		}
	}
	if o.ema != nil {
		if err := o.ema.prepare(o.dev, o.cfg.EMA.Decay); err != nil {
			return fmt.Errorf("moving average: %w", err)
		}
	}
	return nil
}

func (a *average) prepare(dev device.Device, decay float64) error {
	a.host = [2]float32{float32(decay), float32(1 - decay)}
	return dev.Upload(a.weights, device.Bytes(a.host[:]))
}

// Update queues the clipping and the update rules: the same device work at every step.
func (o *Optimizer) Update() {
	if o.clip != nil {
		o.clip.Run()
	}
	for _, u := range o.updates {
		u.run()
	}
}

// WritesCopies reports whether Update writes every Param.ComputeCopy that is no Param.Value: see nn.Network.KeepOperands.
func (o *Optimizer) WritesCopies() bool {
	return o.part == nil && !slices.ContainsFunc(o.updates, func(u *Update) bool { return !u.copies })
}

// Average queues the averages that are due after the step, and reports whether they change weights.
func (o *Optimizer) Average(step int) (changed bool) {
	frozen := row{fromEpoch: o.cfg.ThawEpoch}.isFrozen(Progress{Step: step, StepsPerEpoch: o.perEpoch})
	if o.lookahead != nil {
		if _, due := o.cfg.Lookahead.decay(step, o.total); due {
			o.lookahead.run(frozen)
			changed = true
		}
	}
	if o.ema != nil {
		o.ema.run(frozen)
	}
	return changed
}

// Run queues the device work of the step that was passed to Prepare: Update, then Average.
func (o *Optimizer) Run(step int) {
	o.Update()
	o.Average(step)
}

// Step is Prepare and Run. Steps count from 0.
func (o *Optimizer) Step(step int) error {
	if err := o.Prepare(step); err != nil {
		return err
	}
	o.Run(step)
	return nil
}
