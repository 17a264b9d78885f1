package optim_test

import (
	"testing"

	"trainer/cpu"
	"trainer/nn"
	"trainer/nn/device"
	"trainer/nn/optim"
)

// signSGD is a rule defined by a program: each step has the size of the learning rate and the direction opposite to the
// sign of the gradient (Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems", ICML 2018,
// algorithm 1).
type signSGD struct{}

func (signSGD) Kind() string { return "sign-sgd" }

func (signSGD) Build(u *optim.Update) error {
	for p := range u.Params() {
		d := u.Scratch(p.Value.Shape()...)
		u.Map(d, device.MapSpec{Kind: device.MapSign, Alpha: 1}, u.Gradient(p), nil)
		u.Descend(p, d)
	}
	return nil
}

// TestOwnRule trains with a rule from outside the package; weight decay, schedule and groups work with it.
func TestOwnRule(t *testing.T) {
	dev, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	p := &nn.Param{Name: "dense1.weight", Role: nn.Weight}
	for _, x := range []struct {
		tensor **device.Tensor
		values []float32
	}{{&p.Value, []float32{1, 1, 1}}, {&p.Grad, []float32{-2, 0, 0.5}}} {
		if *x.tensor, err = dev.NewTensor(device.Float32, 3); err != nil {
			t.Fatal(err)
		}
		if err := dev.Upload(*x.tensor, device.Bytes(x.values)); err != nil {
			t.Fatal(err)
		}
	}
	o, err := optim.New(dev, []*nn.Param{p}, nil, optim.Config{
		Rule: signSGD{}, LR: 0.25, WeightDecay: 0.5, Decoupled: true,
	}, optim.Step{Gamma: 0.5, Every: 1}, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 2 {
		if err := o.Step(step); err != nil {
			t.Fatal(err)
		}
	}
	var got [3]float32
	if err := dev.Download(device.Bytes(got[:]), p.Value); err != nil {
		t.Fatal(err)
	}
	// w - 0.25*(sign + w/2), then w - 0.125*(sign + w/2): all of this is exact.
	want := [3]float32{(1-0.125+0.25)*(1-0.0625) + 0.125, (1 - 0.125) * (1 - 0.0625), (1-0.125-0.25)*(1-0.0625) - 0.125}
	if got != want {
		t.Errorf("weights %v, want %v", got, want)
	}
}
