package tune

import (
	"context"
	"math"
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/optim"
	"trainer/nn/train"
)

// course returns the points of a test whose loss is a function of the logarithm of the rate, from 1e-6 to 10.
func course(n int, loss func(decades float64) float64) []Point {
	points := make([]Point, n)
	for i := range points {
		decades := -6 + 7*float64(i)/float64(n-1)
		points[i] = Point{Step: i + 1, Rate: math.Pow(10, decades), Loss: loss(decades)}
	}
	smooth(points)
	return points
}

func TestSuggest(t *testing.T) {
	// Falls along half a cosine wave from 1e-4 to 1e-2, steepest at 1e-3, and rises from 1e-1 on.
	valley := func(d float64) float64 {
		switch {
		case d < -4:
			return 2.3
		case d < -2:
			return 1.3 + math.Cos(math.Pi*(d+4)/2)
		case d < -1:
			return 0.3 - 0.1*(d+2)
		}
		return 0.2 + 40*(d+1)*(d+1)
	}
	s, ok := Suggest(course(200, valley))
	if !ok || math.Abs(math.Log10(s.Steepest)+3) > 0.1 || math.Abs(math.Log10(s.Minimum)+1) > 0.35 || s.Rate != twoDigits(s.Tenth()) {
		t.Errorf("%+v, want about 1e-3 and 1e-1", s)
	}
	// A second valley, after the loss has been above its first value, doesn't count.
	twice := func(d float64) float64 {
		if d > 0.2 {
			return 0.1
		}
		return valley(d)
	}
	if again, ok := Suggest(course(200, twice)); !ok || again != s {
		t.Errorf("with a second valley %+v, want %+v", again, s)
	}
	for name, loss := range map[string]func(float64) float64{
		"constant":   func(float64) float64 { return 2 },
		"rising":     func(d float64) float64 { return 8 + d },
		"noise":      func(d float64) float64 { return 2 + 0.01*math.Sin(40*d) },
		"more noise": func(d float64) float64 { return 2 + 0.3*math.Sin(1e4*d) },
		"NaN":        func(float64) float64 { return math.NaN() },
	} {
		if got, ok := Suggest(course(200, loss)); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, ok := Suggest(nil); ok {
		t.Error("a suggestion of nothing")
	}
}

func TestSmooth(t *testing.T) {
	points := course(100, func(d float64) float64 { return 3 - 2*d }) // a line stays a line, except at its ends
	for i := 10; i < 90; i++ {
		if math.Abs(points[i].Smooth-points[i].Loss) > 1e-9 {
			t.Fatalf("point %d: %v", i, points[i])
		}
	}
	alternating := course(100, func(d float64) float64 { return 2 })
	for i := range alternating {
		alternating[i].Loss += float64(i%2*2 - 1)
	}
	smooth(alternating)
	if got := alternating[50].Smooth; math.Abs(got-2) > 0.02 {
		t.Errorf("alternating losses: %v", got)
	}
}

func TestTwoDigits(t *testing.T) {
	for x, want := range map[float64]float64{0.001234: 0.0012, 9.96: 10, 123: 120, 0.1: 0.1, 1e-7: 1e-7} {
		if got := twoDigits(x); got != want {
			t.Errorf("%v: %v, want %v", x, got, want)
		}
	}
}

// bright is a data set of dark and bright images. Its test set must not be read.
func bright() *data.Dataset {
	const n = 64
	set := &data.InMemory{H: 4, W: 4, C: 1, ClassNames: []string{"dark", "bright"}, Images: make([]byte, n*16), Labels: make([]int32, n)}
	for i := range n {
		set.Labels[i] = int32(i % 2)
		if i%8 == 0 { // a wrong label, so that the loss has a lower bound
			set.Labels[i] = 1
		}
		for k := range 16 {
			set.Images[16*i+k] = byte(40 + 150*(i%2) + (i*7+k*13)%50)
		}
	}
	return &data.Dataset{Name: "bright", Train: set, Val: unread{set}, Test: unread{set}}
}

// unread is a set whose images must not be read.
type unread struct{ data.Set }

func (unread) Read(int, []byte) (int32, error) { panic("an image for evaluation was read") }

func configuration(t *testing.T) train.Config {
	t.Helper()
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	half := 0.5
	return train.Config{
		Device: dev, Data: bright(), Epochs: 3, Seed: 4, Batch: 32, Loss: nn.CrossEntropy{},
		Model: nn.NewSequential(nn.Flatten{}, nn.Dense{Out: 2}),
		Optimizer: optim.Config{Algorithm: "sgd", LR: 0.2, EMA: &optim.EMA{Decay: 0.9}, Groups: []optim.Group{
			{Match: "*.bias", LRScale: &half, Schedule: optim.Step{Gamma: 0.1, Every: 1}},
		}},
		Schedule: optim.OneCycle{BaseMomentum: 0.8, MaxMomentum: 0.9}, Weights: train.WeightsBest, Stop: train.Stop{Patience: 1},
		Checkpoint: train.Checkpoint{Dir: "nowhere"}, Resume: "nothing",
	}
}

// The test follows the ramp over several epochs, keeps the ratio of the groups, and ends when the loss explodes.
func TestRangeTest(t *testing.T) {
	c := configuration(t)
	var rates []float64
	c.Hooks = []train.Hooks{{Step: func(_ *train.Training, s *train.StepDone) { rates = append(rates, s.LR) }}}
	test := RangeTest{From: 1e-5, To: 1e4, Steps: 100}
	points, interrupted, err := test.Run(context.Background(), c)
	if err != nil || interrupted {
		t.Fatal(interrupted, err)
	}
	if len(points) < 50 || len(points) >= 100 || len(rates) != len(points) {
		t.Fatalf("%d points and %d rates, want an end by explosion", len(points), len(rates))
	}
	for i, p := range points {
		want := 1e-5 * math.Pow(1e9, float64(i)/99)
		if p.Step != i+1 || math.Abs(p.Rate-want) > 1e-6*want || p.Rate != rates[i] {
			t.Fatalf("point %d: %+v, want the rate %v", i, p, want)
		}
	}
	if s, ok := Suggest(points); !ok || s.Rate < 1e-4 || s.Rate > 10 {
		t.Errorf("suggestion %+v", s)
	}
	again, _, err := test.Run(context.Background(), configuration(t))
	if err != nil || len(again) != len(points) || again[40] != points[40] {
		t.Errorf("again: %d points, %v", len(again), err)
	}
}

func TestRangeTestIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	c := configuration(t)
	c.Hooks = []train.Hooks{{Step: func(_ *train.Training, s *train.StepDone) {
		if s.Step == 5 {
			cancel()
		}
	}}}
	points, interrupted, err := (RangeTest{From: 1e-5, To: 1, Steps: 100}).Run(ctx, c)
	if err != nil || !interrupted || len(points) != 5 {
		t.Errorf("%d points, interrupted %v, %v", len(points), interrupted, err)
	}
}

// What depends on a schedule or on evaluations is left out of the test.
func TestRangeTestConfig(t *testing.T) {
	before := configuration(t)
	c := RangeTest{From: 1e-3, To: 1, Steps: 10}.Config(before)
	if c.Data.Val != nil || c.Data.Test != nil || before.Data.Val == nil || c.Optimizer.Groups[0].Schedule != nil || before.Optimizer.Groups[0].Schedule == nil {
		t.Error("the data or the groups are wrong, or were changed in place")
	}
	if c.Optimizer.EMA != nil || c.Resume != "" || c.Checkpoint.Dir != "" || c.Stop != (train.Stop{}) || c.Weights != train.WeightsLast || c.DType != device.DType(0) {
		t.Errorf("%+v", c)
	}
	for step, want := range map[int]float64{0: 1e-3, 9: 1} {
		if got := 0.2 * c.Schedule.Factor(optim.Progress{Step: step, Total: 10}); math.Abs(got-want) > 1e-12 {
			t.Errorf("step %d: %v", step, got)
		}
	}
}
