package command

import (
	"testing"

	"trainer/cpu"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
)

// timed is a device whose algorithms can be timed.
type timed struct {
	device.Device
	on bool
}

func (d *timed) Autotune()                   { d.on = true }
func (d *timed) ChosenAlgorithms() []byte    { return nil }
func (d *timed) KeepAlgorithms([]byte) error { return nil }

// Algorithms are timed by default if training is so long that timing takes no share of it worth mentioning.
func TestChooseAutotune(t *testing.T) {
	host, err := cpu.New(cpu.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	set := &data.InMemory{H: 28, W: 28, C: 1, ClassNames: make([]string, 10), Labels: make([]int32, 64*10), Images: make([]byte, 64*10*28*28)}
	for name, c := range map[string]struct {
		epochs string
		change func(*options)
		want   bool
	}{
		"a long training":                  {"3000", func(*options) {}, true},
		"a short one":                      {"2999", func(*options) {}, false},
		"several short ones":               {"1000", func(o *options) { o.runs = 3 }, true},
		"deterministic":                    {"3000", func(o *options) { o.deterministic = true }, false},
		"resumed":                          {"3000", func(o *options) { o.resume = "run" }, false},
		"a flag that says no":              {"3000", func(o *options) { o.given["autotune"] = true }, false},
		"a short one, and a flag says yes": {"1", func(o *options) { o.given["autotune"], o.autotune = true, true }, true},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := recipe.BuiltIn().Load("mnist-basic", "epochs="+c.epochs, "batch=64")
			if err != nil {
				t.Fatal(err)
			}
			o := &options{runs: 1}
			o.given = map[string]bool{}
			c.change(o)
			dev := &timed{Device: host, on: o.autotune}
			j := &job{program: &program{}, options: o, recipe: r, dev: dev, split: &data.Dataset{Name: "mnist", Train: set}}
			j.chooseAutotune()
			if dev.on != c.want || j.autotune != c.want {
				t.Errorf("timing is on: %v, and recorded as %v, want %v", dev.on, j.autotune, c.want)
			}
		})
	}
}
