//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu_test

import (
	"cmp"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"trainer/gpu"
	"trainer/gpu/cudasim"
	"trainer/gpu/internal/emulated"
	"trainer/nn"
	"trainer/nn/data"
	"trainer/nn/device"
	"trainer/nn/recipe"
	"trainer/nn/train"
)

// What a training step of each built-in recipe costs on a GPU, apart from its arithmetic: the launches, and the distinct
// bytes that each reads and writes, added up. testdata/budget.tsv holds both, so that they can only fall.
//
//	go test -tags cuda ./gpu -run Budget -v             # every launch of a step, by name
//	go test -tags cuda ./gpu -run Budget -update-budget # after a change that lowers them
//
// Launches are counted with the recipe's own batch, without computing anything, and so are the bytes of the libraries'
// operations: those of their tensors. A kernel must run to tell its bytes, which takes too long with the batch of most
// recipes. So it runs with two small batches, and the bytes of the recipe's batch follow from a straight line. They
// are up to 1% too many, because sums over rows leave no more partial results from some batch on.

var updateBudget = flag.Bool("update-budget", false, "record the launches and bytes of each recipe's step in testdata/budget.tsv")

const budgetFile = "testdata/budget.tsv"

// budget is a line of the file.
type budget struct {
	recipe   string
	batch    int
	launches int   // kernels, operations of cuBLAS and cuDNN, fills and copies
	bytes    int64 // read and written by all of them
}

// pictureShapes are the shapes of the pictures of recipes for folders, and their batches.
var pictureShapes = map[string]struct {
	shape nn.Shape
	batch int
}{
	"photos":   {nn.Shape{96, 96, 3}, 64},
	"resnet18": {nn.Shape{224, 224, 3}, 32},
}

// quickBudgets are the recipes whose steps are always counted.
var quickBudgets = []string{"airbench94", "cifar10-basic", "mnist", "mnist-basic", "photos"}

// TestBudget compares the step of each recipe with the recorded one.
func TestBudget(t *testing.T) {
	recorded := readBudget(t)
	var all []budget
	for _, name := range recipe.Names() {
		t.Run(name, func(t *testing.T) {
			if os.Getenv("TRAINER_LONG_TESTS") == "" && !*updateBudget && !slices.Contains(quickBudgets, name) {
				t.Skip("make test-long counts the steps of all recipes")
			}
			b := countBudget(t, name)
			all = append(all, b)
			if *updateBudget {
				return
			}
			for _, old := range recorded {
				if old.recipe == name {
					checkBudget(t, b, old)
					return
				}
			}
			t.Errorf("%s has no line for %s: run this test with -update-budget", budgetFile, name)
		})
	}
	if *updateBudget {
		writeBudget(t, all)
	}
}

func checkBudget(t *testing.T, got, want budget) {
	t.Helper()
	compare := func(what string, got, want int64) {
		switch {
		case got > want:
			t.Errorf("a step has %d %s, and %s allows %d: -v lists them", got, what, budgetFile, want)
		case got < want:
			t.Errorf("a step has %d %s, fewer than the %d of %s: record the lower figure with -update-budget", got, what, want, budgetFile)
		}
	}
	compare("launches", int64(got.launches), int64(want.launches))
	compare("bytes", got.bytes, want.bytes)
	if got.batch != want.batch {
		t.Errorf("the batch is %d, recorded with %d: run this test with -update-budget", got.batch, want.batch)
	}
}

// countBudget counts a recipe's step, and logs what it consists of.
func countBudget(t *testing.T, name string) budget {
	r, shape, batch := budgetRecipe(t, name)
	step := workOfStep(t, r, shape, batch, false)
	small := smallBatchOf(shape, batch)
	once, twice := counted(workOfStep(t, r, shape, small/2, true)), counted(workOfStep(t, r, shape, small, true))
	b := budget{recipe: name, batch: batch, launches: len(step)}
	var table strings.Builder
	for _, l := range linesOf(step) {
		if l.kind == "kernel" {
			one, two := once[l.work], twice[l.work]
			l.bytes = one.bytes + (two.bytes-one.bytes)*int64(batch-small/2)/int64(small-small/2)
		}
		b.bytes += l.bytes
		fmt.Fprintf(&table, "%4d %9.3f MB %-8s %s\n", l.count, float64(l.bytes)/1e6, l.kind, l.name)
	}
	t.Logf("%d launches, %.1f MB with a batch of %d\n%s", b.launches, float64(b.bytes)/1e6, batch, &table)
	return b
}

// smallBatchOf returns the larger batch with which kernels run: about 32 images of CIFAR-10.
func smallBatchOf(shape nn.Shape, batch int) int {
	return min(max(4, 32*32*32/(shape[0]*shape[1])), batch) &^ 1
}

// work is a kind of launch, line what a step has of it.
type work struct{ kind, name string }

type line struct {
	work
	count int
	bytes int64
}

func counted(step []cudasim.Work) map[work]line {
	lines := map[work]line{}
	for _, w := range step {
		key := work{w.Kind, w.Name}
		l := lines[key]
		lines[key] = line{key, l.count + 1, l.bytes + w.Read + w.Written}
	}
	return lines
}

// linesOf returns the lines of a step, the most frequent first.
func linesOf(step []cudasim.Work) []line {
	var all []line
	for _, l := range counted(step) {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b line) int {
		return cmp.Or(b.count-a.count, cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
	})
	return all
}

// budgetRecipe returns a recipe, the shape of its images, and its batch.
func budgetRecipe(t *testing.T, name string) (*recipe.Recipe, nn.Shape, int) {
	t.Helper()
	r, err := recipe.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if p, ok := pictureShapes[name]; ok {
		if r, err = r.WithImageSize(p.shape[0], p.shape[1], r.Pictures.Resize); err != nil {
			t.Fatal(err)
		}
		return r, p.shape, p.batch
	}
	return r, r.ImageShape(), r.Batch
}

// workOfStep returns the work of one step: the fourth, a replay of the recorded step. No rule averages weights then. Kernels
// run if the step asks for it.
func workOfStep(t *testing.T, r *recipe.Recipe, shape nn.Shape, batch int, run bool) []cudasim.Work {
	t.Helper()
	const steps = 4
	r, err := r.With(fmt.Sprintf("batch=%d", batch), "epochs=2")
	if err != nil {
		t.Fatal(err)
	}
	emulated.UseCounting(t, "cc=90;memory=1024GiB;dry=2")
	d, err := gpu.New(0, gpu.WithPrecision(gpu.TF32))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	cfg := r.TrainConfig(d, &data.Dataset{Name: "noise", Train: noise(steps*batch, shape)}, 1)
	if r.Precision == "fp16" {
		cfg.DType = device.Float16
	}
	s, err := train.NewStepper(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	loader, err := data.NewLoader(data.LoaderConfig{Set: s.TrainSet(), Batch: batch, Seed: 1, Shuffle: true, DropLast: true, IDsOnly: s.DataOnDevice()})
	if err != nil {
		t.Fatal(err)
	}
	defer loader.Close()
	loader.Start(0, 0)
	for step := range steps {
		b, err := loader.Next()
		if err != nil {
			t.Fatal(err)
		}
		if step == steps-1 {
			if run {
				emulated.Configure(t, "dry=1")
			}
			cudasim.KeepJournal()
		}
		if err := s.Step(b); err != nil {
			t.Fatal(err)
		}
		loader.Release(b)
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	return cudasim.Journal()
}

// noise returns n images of ten classes.
func noise(n int, shape nn.Shape) *data.InMemory {
	set := &data.InMemory{Name: "noise", H: shape[0], W: shape[1], C: shape[2], ClassNames: make([]string, 10), Images: make([]byte, n*shape.Len()), Labels: make([]int32, n)}
	state := uint32(1)
	for i := range set.Images {
		state = state*1664525 + 1013904223 // Numerical Recipes' generator: quick, and good enough for what nobody learns from
		set.Images[i] = byte(state >> 24)
	}
	for i := range set.Labels {
		set.Labels[i] = int32(i % 10)
	}
	return set
}

func readBudget(t *testing.T) []budget {
	t.Helper()
	f, err := os.Open(budgetFile)
	if err != nil {
		if *updateBudget {
			return nil
		}
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var all []budget
	for _, row := range rows[1:] {
		var b budget
		b.recipe = row[0]
		for i, to := range []*int{&b.batch, &b.launches} {
			if *to, err = strconv.Atoi(row[1+i]); err != nil {
				t.Fatal(err)
			}
		}
		if b.bytes, err = strconv.ParseInt(row[3], 10, 64); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func writeBudget(t *testing.T, all []budget) {
	t.Helper()
	var text strings.Builder
	fmt.Fprintln(&text, "recipe\tbatch\tlaunches\tbytes")
	for _, b := range all {
		fmt.Fprintf(&text, "%s\t%d\t%d\t%d\n", b.recipe, b.batch, b.launches, b.bytes)
	}
	if err := os.WriteFile(budgetFile, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}
