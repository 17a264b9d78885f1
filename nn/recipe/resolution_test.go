package recipe

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trainer/nn/optim"
	"trainer/nn/train"
)

func TestResolution(t *testing.T) {
	r, err := BuiltIn().Load("cifar10-94", "resolution=[[0, 20], [2, 32]]", "evaluate.views-share=0.5")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]train.Resolution{{Epoch: 0, Size: 20}, {Epoch: 2, Size: 32}}, r.Resolution); diff != "" || r.ViewShare != 0.5 {
		t.Errorf("share %v, resolution (-want +got):\n%s", r.ViewShare, diff)
	}
	for _, c := range []struct{ set, want string }{
		{"resolution=[]", "want a list of [epoch, pixels]"},
		{"resolution=24", "want a list of [epoch, pixels]"},
		{"resolution=[[0, 24, 1]]", "element 0 is [0, 24, 1]"},
		{"resolution=[[0, 24], [1.5, 28]]", "element 1 is [1.5, 28]"},
		{"resolution=[[0, 0]]", "element 0 is [0, 0], want [epoch from 0, pixels from 1]"},
		{"resolution=[[2, 24], [1, 28]]", "element 1 is [1, 28]"},
		{"evaluate.views-share=0", "views-share"},
		{"evaluate.views-share=1.5", "views-share"},
	} {
		if _, err := BuiltIn().Load("cifar10-94", c.set); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q", c.set, err, c.want)
		}
	}
}

// The author's program states these rates for a last layer whose weights begin with a standard deviation of 1.
func TestMuonRates(t *testing.T) {
	for name, width := range map[string]float64{"cifar10-94": 256, "cifar10-fast": 128} {
		r, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		checkMuonRates(t, r, width)
	}
}

// checkMuonRates checks the rates of a network whose last layer has so many inputs.
func checkMuonRates(t *testing.T, r *Recipe, width float64) {
	t.Helper()
	const bias, last, decay = 0.053, 0.67, 2e-6
	k := math.Sqrt(2 / width) // the standard deviation of the initialiser
	o := r.Optimizer
	head := o.Groups[1]
	near := func(got, want float64) bool { return math.Abs(got/want-1) < 1e-5 }
	if !near(o.LR, bias) || !near(o.LR*o.WeightDecay, decay*float64(r.Batch)) {
		t.Errorf("%s: rate %v, weight decay %v", r.Name, o.LR, o.WeightDecay)
	}
	if !near(o.LR**head.LRScale, last*k*k) || !near(*head.LRScale**head.DecayScale, 1) {
		t.Errorf("%s: last layer: %v times the rate, %v times the decay", r.Name, *head.LRScale, *head.DecayScale)
	}
	if m, ok := o.Groups[0].Rule.(optim.Muon); !ok || o.Groups[0].LR != 0.24 || m.Momentum != 0.6 || !m.Nesterov || !m.Normalize {
		t.Errorf("%s: filters: %+v", r.Name, o.Groups[0])
	}
}
