package devicetest

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"trainer/nn/device"
)

// planMakers are the interfaces whose New methods make plans.
var planMakers = []reflect.Type{
	reflect.TypeFor[device.Device](),
	reflect.TypeFor[device.MixedPrecision](),
	reflect.TypeFor[device.FusedBatchNorm](),
	reflect.TypeFor[device.FusedPool2D](),
	reflect.TypeFor[device.FusedEpilogue](),
	reflect.TypeFor[device.FusedConvPool](),
	reflect.TypeFor[device.FusedConvActivation](),
	reflect.TypeFor[device.FusedConvOfActivation](),
	reflect.TypeFor[device.FusedScale](),
	reflect.TypeFor[device.FusedBiasGradient](),
	reflect.TypeFor[device.FusedLoss](),
	reflect.TypeFor[device.FusedDense](),
	reflect.TypeFor[device.FusedPoolBatchNorm](),
	reflect.TypeFor[device.FusedConvPoolBatchNorm](),
}

// methodsOf returns for each constructor the methods of its plan that compute.
func methodsOf() map[string][]string {
	all := map[string][]string{}
	for _, maker := range planMakers {
		for i := range maker.NumMethod() {
			m := maker.Method(i)
			if !strings.HasPrefix(m.Name, "New") || m.Name == "NewTensor" {
				continue
			}
			all[m.Name] = nil
			for j := range m.Type.Out(0).NumMethod() {
				if method := m.Type.Out(0).Method(j); method.Type.NumOut() == 0 && method.Name != "Reseed" {
					all[m.Name] = append(all[m.Name], method.Name)
				}
			}
		}
	}
	return all
}

// problems returns the constructors and methods that a list of operations lacks.
func problems(operations []Operation) (missing []string) {
	complain := func(format string, args ...any) { missing = append(missing, fmt.Sprintf(format, args...)) }
	plans, names := methodsOf(), map[string]bool{}
	for constructor := range plans {
		if !slices.ContainsFunc(operations, func(op Operation) bool { return op.Constructor == constructor }) {
			complain("%s has no operation", constructor)
		}
	}
	for _, op := range operations {
		methods, known := plans[op.Constructor]
		switch {
		case !known:
			complain("%s: there is no constructor %s", op.Name, op.Constructor)
		case names[op.Name]:
			complain("%s: two operations have this name", op.Name)
		case op.Test == nil:
			complain("%s has no test", op.Name)
		case op.Panics == nil && !strings.HasPrefix(op.Name, "fused-"):
			complain("%s has no test of panics", op.Name)
		case op.Calls == nil:
			complain("%s has no calls", op.Name)
		case len(op.Types) == 0:
			complain("%s has no storage type", op.Name)
		}
		names[op.Name] = true
		if op.Calls == nil {
			continue
		}
		for size, use := range map[Size]string{Small: "tests", Large: "benchmarks of a CPU", Huge: "benchmarks of a GPU"} {
			calls := op.Calls(size)
			for _, method := range methods {
				if !slices.ContainsFunc(calls, func(c Call) bool { return c.Method == method }) {
					complain("%s has no call of %s for %s", op.Name, method, use)
				}
			}
			seen := map[string]bool{}
			for _, c := range calls {
				if seen[c.Name] {
					complain("%s has two calls %s for %s", op.Name, c.Name, use)
				}
				seen[c.Name] = true
			}
		}
	}
	return missing
}

// TestOperationsAreComplete checks that every constructor of a device has an operation, and every method of its plan a call
// in tests and benchmarks.
func TestOperationsAreComplete(t *testing.T) {
	for _, p := range problems(Operations()) {
		t.Error(p)
	}
}

// TestIncompleteListIsNoticed removes something from the list in each case.
func TestIncompleteListIsNoticed(t *testing.T) {
	at := func(ops []Operation, name string) *Operation {
		return &ops[slices.IndexFunc(ops, func(op Operation) bool { return op.Name == name })]
	}
	for want, change := range map[string]func(ops []Operation) []Operation{
		"NewClip has no operation": func(ops []Operation) []Operation {
			return slices.DeleteFunc(ops, func(op Operation) bool { return op.Name == "clip" })
		},
		"conv2d has no test":                 func(ops []Operation) []Operation { at(ops, "conv2d").Test = nil; return ops },
		"loss has no test of panics":         func(ops []Operation) []Operation { at(ops, "loss").Panics = nil; return ops },
		"softmax has no calls":               func(ops []Operation) []Operation { at(ops, "softmax").Calls = nil; return ops },
		"cast has no storage type":           func(ops []Operation) []Operation { at(ops, "cast").Types = nil; return ops },
		"there is no constructor NewFourier": func(ops []Operation) []Operation { at(ops, "reduce").Constructor = "NewFourier"; return ops },
		"batchnorm has no call of Inference for benchmarks of a CPU": func(ops []Operation) []Operation {
			op := at(ops, "batchnorm")
			calls := op.Calls
			op.Calls = func(size Size) []Call {
				return slices.DeleteFunc(calls(size), func(c Call) bool { return size == Large && c.Method == "Inference" })
			}
			return ops
		},
	} {
		if found := strings.Join(problems(change(Operations())), "\n"); !strings.Contains(found, want) {
			t.Errorf("a list without something: %q is not noticed, but:\n%s", want, found)
		}
	}
}

// TestCallsRun makes and runs every call of a benchmark on small tensors. Each has results and a measure.
func TestCallsRun(t *testing.T) {
	dev := newHost(nil)
	for _, op := range Operations() {
		for _, size := range []Size{Large, Huge} {
			for _, c := range op.Calls(size) {
				o := NewOperands(t, dev, op.Types[len(op.Types)-1], size)
				o.Dry = true
				w, err := c.Make(o)
				if err != nil {
					t.Fatalf("%s/%s: %v", op.Name, c.Name, err)
				}
				w.Run()
				if len(w.Results) == 0 || (w.Bytes > 0) == (w.FLOPs > 0) {
					t.Errorf("%s/%s: %d results, %d bytes, %d FLOPs: want results, and one of the two measures", op.Name, c.Name, len(w.Results), w.Bytes, w.FLOPs)
				}
			}
		}
	}
}

// TestOperationWithoutCases runs an empty test of an operation in another process.
func TestOperationWithoutCases(t *testing.T) {
	op := Operation{Name: "fourier", Test: func(*testing.T, device.Device, Options) {}}
	if os.Getenv(faultVariable) != "" {
		testOperation(t, newHost(nil), Options{cases: new(int)}, op)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestOperationWithoutCases$")
	cmd.Env = append(os.Environ(), faultVariable+"=no case")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "fourier has no case in float32") {
		t.Errorf("an operation without a case is not noticed: %v\n%s", err, out)
	}
}
