package tune

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"trainer/nn/optim"
	"trainer/nn/train"
)

// RangeTest is the learning-rate range test (Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017,
// section 3.3): a training of some steps, in which the learning rate grows from step to step,
//
//	rate(t) = From * (To/From)^(t/(Steps-1)),   t = 0 ... Steps-1
//
// While the rate is too low, the loss hardly changes; then it falls, the faster the higher the rate; beyond the largest rate
// at which the network can learn, it rises. Groups of parameters with rates of their own keep their ratio to the others.
type RangeTest struct {
	From, To float64 // rates, before any schedule
	Steps    int
}

// MinSteps is the smallest number of steps of a RangeTest.
const MinSteps = 20

// Point is a step of a RangeTest.
type Point struct {
	Step   int     `json:"step"` // from 1
	Rate   float64 `json:"rate"`
	Loss   float64 `json:"loss"`   // of the step's images, before the update
	Smooth float64 `json:"smooth"` // see smooth
}

// ramp is the schedule of a range test: a factor that grows from one number to another.
type ramp struct{ From, To float64 }

// Factor returns the factor at a step.
func (r ramp) Factor(p optim.Progress) float64 {
	if p.Total < 2 {
		return r.From
	}
	return r.From * math.Pow(r.To/r.From, float64(p.Step)/float64(p.Total-1))
}

// Config returns the configuration of a training that is the test of another training. It has no schedules, evaluations,
// moving averages or checkpoints, and it doesn't stop early.
func (t RangeTest) Config(c train.Config) train.Config {
	set := *c.Data
	set.Val, set.Test = nil, nil
	c.Data = &set
	c.Epochs, c.EvalEvery, c.LogEvery = 1, -1, 1
	c.Stop, c.Weights, c.TTA = train.Stop{}, train.WeightsLast, nil
	c.Checkpoint, c.Resume, c.Extend = train.Checkpoint{}, "", false

	c.Schedule = ramp{t.From / c.Optimizer.LR, t.To / c.Optimizer.LR}
	c.Optimizer.EMA = nil
	c.Optimizer.Groups = slices.Clone(c.Optimizer.Groups)
	for i := range c.Optimizer.Groups {
		c.Optimizer.Groups[i].Schedule = nil
	}
	return c
}

// exploded is how many times the smallest loss so far the loss has to be for the test to end, both as running means.
const exploded = 4

// Run makes the test of a training. It ends when the loss explodes or ctx is cancelled; then interrupted is true. The
// hooks of the configuration are called, and before them one that stops the training. Errors are those of train.Run, except
// that a diverged loss is a result.
func (t RangeTest) Run(ctx context.Context, c train.Config) (points []Point, interrupted bool, err error) {
	c = t.Config(c)
	summary, err := train.DryRun(c)
	if err != nil {
		return nil, false, err
	}
	c.Epochs = float64(t.Steps) / float64(summary.StepsPerEpoch)
	mean, weight, least := 0.0, 0.0, math.Inf(1)
	watch := train.Hooks{Log: func(r *train.Training, m *train.StepMetrics) {
		points = append(points, Point{Step: m.Step, Rate: m.LR, Loss: m.TrainLoss})
		const keep = 0.9 // of the running mean
		mean, weight = keep*mean+(1-keep)*m.TrainLoss, keep*weight+(1-keep)
		least = min(least, mean/weight)
		if mean/weight > exploded*least {
			r.Stop("because the loss exploded")
		}
	}}
	c.Hooks = append([]train.Hooks{watch}, c.Hooks...)
	result, err := train.Run(ctx, c)
	if _, diverged := errors.AsType[*train.DivergedError](err); diverged {
		err = nil
	}
	smooth(points)
	return points, result != nil && result.Interrupted, err
}

// smoothing is the standard deviation of smooth's weights, as a fraction of the number of points.
const smoothing = 0.02

// smooth computes means of the losses of neighbouring steps, weighted by a normal distribution. Other than a running mean of
// past losses, they don't lag behind, so that the rates that are chosen by them are not too high.
func smooth(points []Point) {
	sigma := max(1, smoothing*float64(len(points)))
	reach := int(math.Ceil(3 * sigma))
	for i := range points {
		sum, weight := 0.0, 0.0
		for k := max(0, i-reach); k <= min(len(points)-1, i+reach); k++ {
			distance := float64(k-i) / sigma
			w := math.Exp(-distance * distance / 2)
			sum, weight = sum+w*points[k].Loss, weight+w
		}
		points[i].Smooth = sum / weight
	}
}

// Suggestion is what a range test says about the learning rate.
type Suggestion struct {
	Rate     float64 `json:"rate"`     // the suggested one
	Steepest float64 `json:"steepest"` // where the smoothed loss falls fastest over the logarithm of the rate
	Minimum  float64 `json:"minimum"`  // where the smoothed loss is lowest
}

// Highest returns the end of a range of rates that is worth a search: ten times the rate with the lowest loss, at
// which training with a schedule that lowers the rate often still succeeds.
func (s Suggestion) Highest() float64 { return twoDigits(10 * s.Minimum) }

// Tenth returns a tenth of the rate with the lowest loss.
func (s Suggestion) Tenth() float64 { return s.Minimum / 10 }

// The smoothed loss must fall by the fraction leastFall of the first loss, and by leastDeviation standard deviations of single
// losses round it, for a suggestion. Otherwise it may be chance. Of a valley that is flat up to the fraction flat of the fall,
// as that of a loss that falls to zero, the lowest rate counts.
const (
	leastFall      = 0.02
	leastDeviation = 2
	flat           = 1e-3
)

// noise returns the standard deviation of losses round the smoothed one.
func noise(points []Point) float64 {
	sum := 0.0
	for _, p := range points {
		sum += (p.Loss - p.Smooth) * (p.Loss - p.Smooth)
	}
	return math.Sqrt(sum / float64(len(points)))
}

// firstLoss returns the mean loss of the first tenth of the steps, in which the rate is too low to change much, and their number.
func firstLoss(points []Point) (mean float64, n int) {
	n = (len(points) + 9) / 10
	for _, p := range points[:n] {
		mean += p.Loss / float64(n)
	}
	return mean, n
}

// Suggest returns the suggestion of a test's points, or false if the loss didn't fall. The suggested rate is the larger of the
// two estimates that are in use, rounded to two digits: the rate of the steepest descent, and a tenth of the rate with the lowest loss. The
// steepest descent moves to lower rates the more steps the test has, because the network then learns early in it; the lowest
// loss moves less. Points from where the smoothed loss is above that of the first steps again don't count: the network has
// lost what it had learned, even if it learns again afterwards.
func Suggest(points []Point) (s Suggestion, ok bool) {
	if len(points) < 2 {
		return s, false
	}
	first, n := firstLoss(points)
	fall := max(leastFall*first, leastDeviation*noise(points[:max(n, len(points)/4)]))
	fallen := func(p Point) bool { return p.Smooth < first-fall }
	lowest := 0
	for i, p := range points {
		if p.Smooth < points[lowest].Smooth {
			lowest = i
		} else if fallen(points[lowest]) && p.Smooth > first {
			break
		}
	}
	if lowest < n || !fallen(points[lowest]) {
		return s, false
	}
	for enough := points[lowest].Smooth + flat*(first-points[lowest].Smooth); points[lowest-1].Smooth <= enough; {
		lowest--
	}
	steepest, slope := lowest, 0.0
	for i := 1; i < lowest; i++ { // the rates are evenly spaced in their logarithm
		if d := points[i+1].Smooth - points[i-1].Smooth; d < slope {
			steepest, slope = i, d
		}
	}
	s.Steepest, s.Minimum = points[steepest].Rate, points[lowest].Rate
	s.Rate = twoDigits(max(s.Steepest, s.Tenth()))
	return s, true
}

// twoDigits rounds a number to two significant digits.
func twoDigits(x float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'e', 1, 64), 64)
	if err != nil {
		return x
	}
	return rounded
}
