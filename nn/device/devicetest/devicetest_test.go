package devicetest

import (
	"bytes"
	"encoding/binary"
	"flag"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"trainer/nn/device"
	"trainer/nn/device/reference"
)

// faultVariable names the fault that the host device has in this process.
const faultVariable = "DEVICETEST_FAULT"

// faults are ways in which an implementation can be wrong, each in one operation.
func faults() map[string]func(op string, dst *device.Tensor) {
	last := func(dst *device.Tensor) int { return dst.Len() - 1 }
	change := func(wanted string, f func(dst *device.Tensor)) func(string, *device.Tensor) {
		return func(op string, dst *device.Tensor) {
			if op == wanted {
				f(dst)
			}
		}
	}
	off := func(dst *device.Tensor) { // by 1/2000 of the largest element
		if dst.DType() != device.Float32 {
			return
		}
		v := reference.Float32s(content(dst))
		largest := 0.0
		for _, x := range v {
			largest = math.Max(largest, math.Abs(float64(x)))
		}
		spoilElement(dst, last(dst), math.Float32bits(v[last(dst)]+float32(largest/2000)))
	}
	all := map[string]func(string, *device.Tensor){
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
		"groupnorm forward":        change("groupnorm forward", off),
		"groupnorm backward":       change("groupnorm backward", off),
		"activation forward":       change("activation forward", off),
		"activation backward":      change("activation backward", off),
		"dropout":                  change("dropout", off),
		"loss forward":             change("loss forward", off),
		"loss backward":            change("loss backward", off),
		"softmax":                  change("softmax", off),
		"weighted sum":             change("weighted sum", off),
		"reduce":                   change("reduce", off),
		"map":                      change("map", off),
		"transpose":                change("transpose", off),
		"gather":                   change("gather", off),
		"copy-columns":             change("copy columns", off),
		"optimizer":                change("optimizer", off),
		"clip":                     change("clip", off),
		"average":                  change("average", off),
		"augment train":            change("augment train", off),
		"augment normalize":        change("augment normalize", off),
		"augment labels":           change("augment labels", func(dst *device.Tensor) { content(dst)[0]++ }),
		"transform":                change("transform", off),
		"transform targets":        change("transform targets", off),
		"cast":                     change("cast", func(dst *device.Tensor) { content(dst)[0]++ }),
		"scaling update":           change("loss scaling", off),
		"scaling skip":             change("optimizer skipped", off),
	}
	// For each operation on 16-bit tensors: the largest element is two units in the last place too large.
	for i, op := range []string{
		"conv2d forward", "conv2d backward data", "conv2d backward filter", "pool2d forward", "pool2d backward", "matmul",
		"batchnorm forward", "batchnorm inference", "batchnorm backward", "groupnorm forward", "groupnorm backward", "activation forward", "activation backward", "dropout",
		"weighted sum", "map", "transpose", "gather", "augment train", "augment normalize", "cast list",
	} {
		dtype := []device.DType{device.Float16, device.BFloat16}[i%2]
		all[dtype.String()+" "+op] = change(op, func(dst *device.Tensor) { spoilLargest(dst, dtype, 2) })
	}
	return all
}

// spoilLargest adds units in the last place to the largest element of t, if t is of the type.
func spoilLargest(t *device.Tensor, dtype device.DType, units uint16) {
	if t.DType() != dtype {
		return
	}
	at, largest := 0, 0.0
	for i, x := range reference.Unpack(dtype, content(t)) {
		if !math.IsInf(x, 0) && math.Abs(x) > largest {
			at, largest = i, math.Abs(x)
		}
	}
	element := content(t)[2*at:]
	binary.NativeEndian.PutUint16(element, binary.NativeEndian.Uint16(element)+units)
}

// TestHost runs the suite on a device that is right by construction, or has the fault
// that the environment names.
func TestHost(t *testing.T) {
	opt := Options{largest: 5e6}
	if !strings.Contains(flag.Lookup("test.run").Value.String(), "/") { // all sub-tests run
		opt.cases = new(int)
	}
	RunAllWith(t, newHost(faults()[os.Getenv(faultVariable)]), opt)
}

// TestMemoryAlone runs the suite on a device that has only memory and copies, and computes everything with the
// references, as every device does for operations that it lacks.
func TestMemoryAlone(t *testing.T) { RunAllWith(t, reference.NewHost(), Options{largest: 5e6}) }

// TestHostOptions runs a part of the suite with options.
func TestHostOptions(t *testing.T) {
	testMatMul(t, newHost(nil), Options{ProductFactor: 8, Nondeterministic: true})
}

// TestPlainHost runs the suites of 16 bits and of loss scaling on a device that refuses them, and on a device that is
// no MixedPrecision but accepts them silently, on which the suite must fail.
func TestPlainHost(t *testing.T) {
	plain := os.Getenv(faultVariable) == ""
	dev := plainHost{reference.NewHost()}
	if !plain {
		dev = plainHost{newHost(nil)}
	}
	testStorage(device.Float16)(t, dev, Options{})
	testStorage(device.BFloat16)(t, dev, Options{})
	testScaling(t, dev, Options{})
	if !plain {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestPlainHost$")
	cmd.Env = append(os.Environ(), faultVariable+"=takes 16 bits")
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("the suite passed on a device that takes 16 bits but is no MixedPrecision:\n%s", out)
	}
	for _, want := range []string{"conv2d of float16", "pool2d of bfloat16", "augment of bfloat16", "optimizer with loss scaling"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("the output does not say %q:\n%s", want, out)
		}
	}
}

// TestSuiteFails runs the suite, in another process, on a device with each of the faults:
// it must fail there and name the operand.
func TestSuiteFails(t *testing.T) {
	if os.Getenv(faultVariable) != "" {
		t.Skip("this is the process with the fault")
	}
	says := map[string]string{
		"last element not written": "was never written",
		"guard overwritten":        "guard was overwritten, first 0 elements behind",
		"far guard overwritten":    "guard was overwritten, first 127 elements behind",
		"NaN":                      "is NaN, want",
		"scaling skip":             "the input was changed",
	}
	for fault := range faults() {
		t.Run(fault, func(t *testing.T) {
			suite, op, _ := strings.Cut(strings.ReplaceAll(fault, "weighted sum", "weighted_sum"), " ") // as in names of tests
			quick := quickCase(suite)
			switch suite {
			case "float16", "bfloat16":
				inner, _, _ := strings.Cut(op, " ")
				if op == "cast list" {
					inner = "cast-list"
				}
				quick = "^" + inner + "$/" + quickCase(inner)
			}
			switch fault {
			case "last element not written", "guard overwritten":
				suite, quick = "conv2d", quickCase("conv2d")
			case "far guard overwritten":
				suite, quick = "matmul", quickCase("matmul")
			case "NaN":
				suite, quick = "pool2d", quickCase("pool2d")
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestHost$/^"+suite+"$/"+quick)
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

// TestHostAllocations runs RunAllocations in the process that TestAllocationsFail starts,
// where it must fail because the references allocate.
func TestHostAllocations(t *testing.T) {
	if os.Getenv(faultVariable) != "allocations" {
		t.Skip("the host device allocates")
	}
	RunAllocations(t, newHost(nil))
}

func TestAllocationsFail(t *testing.T) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestHostAllocations$/^weighted_sum$")
	cmd.Env = append(os.Environ(), faultVariable+"=allocations")
	out, err := cmd.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("allocations per call")) {
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
	case "groupnorm":
		return "images-in-groups-of-four"
	case "augment":
		return "all"
	}
	return ""
}

func TestWithin(t *testing.T) {
	s := reference.NewSums(1, 4)
	s.Set(0, 1, 2)
	inf, nan := math.Inf(1), math.NaN()
	for _, c := range []struct {
		got  float64
		want bool
	}{
		{1, true},
		{1 + 7*reference.Ulp, true}, {1 - 7*reference.Ulp, true},
		{1 + 9*reference.Ulp, false}, {1 - 9*reference.Ulp, false},
		{nan, false}, {inf, false}, {-inf, false}, {-1, false}, {0, false},
	} {
		if within(s, device.Float32, 0, c.got) != c.want {
			t.Errorf("within(1, magnitude 2, 4 ulps) of %v is %v", c.got, !c.want)
		}
	}
	s.Set(0, math.NaN(), 0)
	if !within(s, device.Float32, 0, nan) || within(s, device.Float32, 0, 1) {
		t.Error("NaN must be matched by NaN alone")
	}
	s.Set(0, math.Inf(-1), 1)
	if !within(s, device.Float32, 0, -inf) || within(s, device.Float32, 0, inf) || within(s, device.Float32, 0, -math.MaxFloat32) || within(s, device.Float32, 0, nan) {
		t.Error("minus infinity must be matched by itself alone")
	}
	s.Set(0, 0, 0)
	if !within(s, device.Float32, 0, math.Copysign(0, -1)) || within(s, device.Float32, 0, 1e-30) {
		t.Error("a zero without terms must be matched by zero alone")
	}
}

func TestCompareNamesElements(t *testing.T) {
	s := reference.NewSums(3, 0)
	for i := range 3 {
		s.Add(i, float64(i))
	}
	if err := compare(s, device.Float32, device.Bytes([]float32{0, 1, 2})); err != nil {
		t.Errorf("equal elements: %v", err)
	}
	err := compare(s, device.Float32, device.Bytes([]float32{0, 5, math.Float32frombits(unwrittenFloat32)}))
	for _, want := range []string{"2 of 3", "[1] is 5, want 1", "[2] is NaN, want 2", "never written"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if compare(s, device.Float32, device.Bytes([]float32{0, 1})) == nil {
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
		whole, err := reference.HostMemory{}.NewTensor(device.Float32, n+guardLen)
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

// TestWithinStored: a 16-bit element may be the rounded value of the reference, or its neighbour if the middle between
// the two is within the float32 error bound.
func TestWithinStored(t *testing.T) {
	const u16, uB16 = 0x1p-10, 0x1p-7 // neighbours of 1
	s := reference.NewSums(1, 4)
	for _, c := range []struct {
		dtype     device.DType
		want, got float64
		ok        bool
	}{
		{device.Float16, 1, 1, true}, {device.Float16, 1, 1 + u16, false}, {device.Float16, 1, 1 - u16/2, false},
		{device.Float16, 1 + 0.4*u16, 1, true}, {device.Float16, 1 + 0.4*u16, 1 + u16, false},
		{device.Float16, 1 + u16/2 - 2*reference.Ulp, 1 + u16, true}, {device.Float16, 1 + u16/2 - 8*reference.Ulp, 1 + u16, false},
		{device.Float16, 65519, 65504, true}, {device.Float16, 65521, math.Inf(1), true}, {device.Float16, 65400, math.Inf(1), false},
		{device.Float16, math.Inf(1), math.Inf(1), true}, {device.Float16, math.Inf(1), 65504, false},
		{device.Float16, 0x1.8p-24, 0x1p-23, true}, {device.Float16, 0x1.4p-24, 0, false},
		{device.Float16, math.NaN(), math.NaN(), true}, {device.Float16, 1, math.NaN(), false},
		{device.BFloat16, 1, 1, true}, {device.BFloat16, 1, 1 + uB16, false}, {device.BFloat16, 1 + 0.6*uB16, 1 + uB16, true},
		{device.BFloat16, 1 + uB16/2 - 2*reference.Ulp, 1, true}, {device.BFloat16, 1 + uB16/2 - 2*reference.Ulp, 1 + uB16, true},
	} {
		s.Set(0, c.want, math.Abs(c.want))
		if got := within(s, c.dtype, 0, c.got); got != c.ok {
			t.Errorf("%v: %v instead of %v is right: %v", c.dtype, c.got, c.want, got)
		}
	}
	// A bias of 2 that was rounded, or added to a stored sum, allows an error of the distance between neighbours around
	// 2.
	b := reference.NewSums(1, 0).WithBias(true)
	b.Add(0, -1)
	b.AddBias(0, 2)
	for got, want := range map[float64]bool{1: true, 1 + u16: true, 1 - u16: true, 1 + 2*u16: false, 1 - 2*u16: false} {
		if within(b, device.Float16, 0, got) != want {
			t.Errorf("-1 with a bias of 2: %v is right: %v", got, !want)
		}
	}
	if within(b, device.Float32, 0, 1+u16) {
		t.Error("a float32 result is allowed what is for 16 bits")
	}
}

// TestOverTiles: a magnitude counts for the pixels that may share a tile with its own pixel,
// in the same image and channel, and for no others.
func TestOverTiles(t *testing.T) {
	shape := []int{2, 4, 5, 2}
	s := reference.NewSums(2*4*5*2, 1)
	at := func(n, y, x, c int) int { return ((n*4+y)*5+x)*2 + c }
	s.Magnitude[at(1, 0, 3, 1)] = 7
	got := s.OverTiles(3, shape)
	for n := range 2 {
		for y := range 4 {
			for x := range 5 {
				for c := range 2 {
					want := 0.0
					if n == 1 && c == 1 && y <= 2 && x >= 1 {
						want = 7
					}
					if m := got.Magnitude[at(n, y, x, c)]; m != want {
						t.Errorf("image %d, pixel %d,%d, channel %d: %v, want %v", n, y, x, c, m, want)
					}
				}
			}
		}
	}
	if same := s.OverTiles(0, shape); same.Magnitude[at(1, 0, 2, 1)] != 0 {
		t.Error("without tiles a magnitude counts for another pixel")
	}
}
