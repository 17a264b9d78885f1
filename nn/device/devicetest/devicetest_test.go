package devicetest

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"trainer/nn/device"
)

// faultVariable names the fault that the host device has in this process.
const faultVariable = "DEVICETEST_FAULT"

// faults are ways in which an implementation goes wrong, each in one operation.
func faults() map[string]func(op string, dst *device.Tensor) {
	last := func(dst *device.Tensor) int { return dst.Len() - 1 }
	change := func(wanted string, f func(dst *device.Tensor)) func(string, *device.Tensor) {
		return func(op string, dst *device.Tensor) {
			if op == wanted {
				f(dst)
			}
		}
	}
	off := func(dst *device.Tensor) { // by a hundred-thousandth of the largest element
		v := float32s(content(dst))
		largest := 0.0
		for _, x := range v {
			largest = math.Max(largest, math.Abs(float64(x)))
		}
		spoilElement(dst, last(dst), math.Float32bits(v[last(dst)]+float32(largest/2000)))
	}
	return map[string]func(string, *device.Tensor){
		"last element not written": change("conv2d forward", func(dst *device.Tensor) { spoilElement(dst, last(dst), unwrittenFloat32) }),
		"guard overwritten":        change("conv2d backward data", func(dst *device.Tensor) { spoilElement(dst, dst.Len(), 0) }),
		"far guard overwritten":    change("matmul", func(dst *device.Tensor) { spoilElement(dst, dst.Len()+guardLen-1, 0) }),
		"NaN":                      change("pool2d forward", func(dst *device.Tensor) { spoilElement(dst, 0, math.Float32bits(float32(math.NaN()))) }),
		"conv2d forward":           change("conv2d forward", off),
		"conv2d backward data":     change("conv2d backward data", off),
		"conv2d backward filter":   change("conv2d backward filter", off),
		"pool2d backward":          change("pool2d backward", off),
		"matmul":                   change("matmul", off),
		"batchnorm forward":        change("batchnorm forward", off),
		"batchnorm statistics":     change("batchnorm forward statistics", off),
		"batchnorm inference":      change("batchnorm inference", off),
		"batchnorm backward":       change("batchnorm backward", off),
		"activation forward":       change("activation forward", off),
		"activation backward":      change("activation backward", off),
		"dropout":                  change("dropout", off),
		"loss forward":             change("loss forward", off),
		"loss backward":            change("loss backward", off),
		"softmax":                  change("softmax", off),
		"combine":                  change("combine", off),
		"reduce":                   change("reduce", off),
		"optimizer":                change("optimizer", off),
		"clip":                     change("clip", off),
		"average":                  change("average", off),
		"augment train":            change("augment train", off),
		"augment normalize":        change("augment normalize", off),
		"augment labels":           change("augment labels", func(dst *device.Tensor) { content(dst)[0]++ }),
		"cast":                     change("cast", func(dst *device.Tensor) { content(dst)[0]++ }),
	}
}

// TestHost runs the suite on a device that is right by construction, or has the fault
// that the environment names.
func TestHost(t *testing.T) {
	h := host{}
	if fault := os.Getenv(faultVariable); fault != "" {
		h.spoil = faults()[fault]
	}
	RunAllWith(t, h, Options{largest: 5e6})
}

// TestHostOptions runs a part of it with options.
func TestHostOptions(t *testing.T) {
	testMatMul(t, host{}, Options{ProductFactor: 8, Nondeterministic: true})
}

// TestSuiteFails runs the suite in another process on a device with each of the
// faults: it must fail there, and name the operation's operand.
func TestSuiteFails(t *testing.T) {
	if os.Getenv(faultVariable) != "" {
		t.Skip("this is the process with the fault")
	}
	says := map[string]string{
		"last element not written": "was never written",
		"guard overwritten":        "guard was overwritten, first 0 elements behind",
		"far guard overwritten":    "guard was overwritten, first 127 elements behind",
		"NaN":                      "is NaN, want",
	}
	for fault := range faults() {
		t.Run(fault, func(t *testing.T) {
			suite, _, _ := strings.Cut(fault, " ")
			switch fault {
			case "last element not written", "guard overwritten":
				suite = "conv2d"
			case "far guard overwritten":
				suite = "matmul"
			case "NaN":
				suite = "pool2d"
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestHost$/^"+suite+"$/"+quickCase(suite))
			cmd.Env = append(os.Environ(), faultVariable+"="+fault)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the suite passed:\n%s", out)
			}
			if want := says[fault]; !bytes.Contains(out, []byte(want)) {
				t.Errorf("the output does not say %q:\n%s", want, out)
			}
			if !bytes.Contains(out, []byte("--- FAIL: TestHost/"+suite)) {
				t.Errorf("the sub-test of %s is not what failed:\n%s", suite, out)
			}
		})
	}
}

// TestHostAllocations runs RunAllocations where it must fail, in the process that
// TestAllocationsFail starts: the references allocate.
func TestHostAllocations(t *testing.T) {
	if os.Getenv(faultVariable) != "allocations" {
		t.Skip("the host device allocates")
	}
	RunAllocations(t, host{})
}

func TestAllocationsFail(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHostAllocations$/^combine$")
	cmd.Env = append(os.Environ(), faultVariable+"=allocations")
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("allocations a call")) {
		t.Errorf("allocations are not noticed: %v\n%s", err, out)
	}
}

// quickCase picks a case of a suite that takes long.
func quickCase(suite string) string {
	switch suite {
	case "conv2d":
		return "3x3-stride2"
	case "matmul":
		return "31x37x41"
	case "pool2d":
		return "max/3x3-stride2"
	case "batchnorm":
		return "dense"
	case "augment":
		return "all"
	}
	return ""
}

func TestWithin(t *testing.T) {
	s := newSums(1, 4)
	s.set(0, 1, 2)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		got  float32
		want bool
	}{
		{1, true},
		{1 + 7*ulp, true}, {1 - 7*ulp, true},
		{1 + 9*ulp, false}, {1 - 9*ulp, false},
		{nan, false}, {inf, false}, {-inf, false}, {-1, false}, {0, false},
	} {
		if s.within(0, c.got) != c.want {
			t.Errorf("within(1, magnitude 2, 4 ulps) of %v is %v", c.got, !c.want)
		}
	}
	s.set(0, math.NaN(), 0)
	if !s.within(0, nan) || s.within(0, 1) {
		t.Error("NaN must be matched by NaN alone")
	}
	s.set(0, math.Inf(-1), 1)
	if !s.within(0, -inf) || s.within(0, inf) || s.within(0, -math.MaxFloat32) || s.within(0, nan) {
		t.Error("minus infinity must be matched by itself alone")
	}
	s.set(0, 0, 0)
	if !s.within(0, float32(math.Copysign(0, -1))) || s.within(0, 1e-30) {
		t.Error("a zero without terms must be matched by zero alone")
	}
}

func TestCompareNamesElements(t *testing.T) {
	s := newSums(3, 0)
	for i := range 3 {
		s.add(i, float64(i))
	}
	if err := s.compare([]float32{0, 1, 2}); err != nil {
		t.Errorf("equal elements: %v", err)
	}
	err := s.compare([]float32{0, 5, math.Float32frombits(unwrittenFloat32)})
	for _, want := range []string{"2 of 3", "[1] is 5, want 1", "[2] is NaN, want 2", "never written"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if s.compare([]float32{0, 1}) == nil {
		t.Error("too few elements are not noticed")
	}
}

func TestVerify(t *testing.T) {
	const n = 5
	content := func(body []float32) []byte {
		b := unwritten(device.Float32, n+guardLen)
		copy(b, device.Bytes(body))
		return b
	}
	full := []float32{1, 2, 3, 4, 5}
	guarded := func(ro role, before, after []byte) error {
		whole, err := host{}.NewTensor(device.Float32, n+guardLen)
		if err != nil {
			t.Fatal(err)
		}
		o := operand{name: "x", role: ro, tensor: whole.View(n), whole: whole, before: before, after: after}
		return o.verify()
	}
	overwritten := content(full)
	overwritten[4*n] ^= 1
	for _, c := range []struct {
		name          string
		ro            role
		before, after []byte
		want          string
	}{
		{"written output", output, content(nil), content(full), ""},
		{"output with a gap", output, content(nil), content(full[:4]), "element 4 was never written"},
		{"output beyond its end", output, content(nil), overwritten, "guard was overwritten, first 0"},
		{"same input", input, content(full), content(full), ""},
		{"changed input", input, content(full), content([]float32{1, 2, 3, 9, 5}), "input was changed at element 3"},
		{"changed inout", inout, content(full), content([]float32{1, 2, 3, 9, 5}), ""},
		{"inout beyond its end", inout, content(full), overwritten, "guard was overwritten"},
	} {
		err := guarded(c.ro, c.before, c.after)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestOverTiles: a magnitude counts for the pixels that may share a tile with its own, in the
// same image and channel, and for no other.
func TestOverTiles(t *testing.T) {
	shape := []int{2, 4, 5, 2}
	s := newSums(2*4*5*2, 1)
	at := func(n, y, x, c int) int { return ((n*4+y)*5+x)*2 + c }
	s.magnitude[at(1, 0, 3, 1)] = 7
	got := s.overTiles(3, shape)
	for n := range 2 {
		for y := range 4 {
			for x := range 5 {
				for c := range 2 {
					want := 0.0
					if n == 1 && c == 1 && y <= 2 && x >= 1 {
						want = 7
					}
					if m := got.magnitude[at(n, y, x, c)]; m != want {
						t.Errorf("image %d, pixel %d,%d, channel %d: %v, want %v", n, y, x, c, m, want)
					}
				}
			}
		}
	}
	if same := s.overTiles(0, shape); same.magnitude[at(1, 0, 2, 1)] != 0 {
		t.Error("without tiles a magnitude counts for another pixel")
	}
}
