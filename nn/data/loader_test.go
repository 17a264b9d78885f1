package data

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// numberedSet has n images of 2x2x1 whose four bytes and label are functions of the index.
func numberedSet(n int) *InMemory {
	set := &InMemory{Name: "numbers", H: 2, W: 2, C: 1, ClassNames: mnistClasses()}
	for i := range n {
		set.Images = append(set.Images, byte(i), byte(i>>8), byte(3*i), 7)
		set.Labels = append(set.Labels, int32(i%10))
	}
	return set
}

// slowSet makes workers overtake each other, and returns an error for one image.
type slowSet struct {
	*InMemory
	bad   int
	delay time.Duration
	reads atomic.Int64
}

var errBadImage = errors.New("images/cat/7.png: broken")

func (s *slowSet) Read(i int, dst []byte) (int32, error) {
	s.reads.Add(1)
	if i == s.bad {
		return 0, errBadImage
	}
	if i%3 == 0 {
		time.Sleep(s.delay)
	}
	return s.InMemory.Read(i, dst)
}

func newTestLoader(t *testing.T, cfg LoaderConfig) *Loader {
	t.Helper()
	l, err := NewLoader(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// drain reads to the end of the epoch, checks every image against the set, and returns the ids.
func drain(t *testing.T, l *Loader, set *InMemory) (ids []int32) {
	t.Helper()
	for {
		b, err := l.Next()
		if err == io.EOF {
			return ids
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.N != len(b.Labels) || b.N != len(b.IDs) || len(b.Images) != 4*b.N {
			t.Fatalf("batch of %d has %d labels, %d ids, %d bytes", b.N, len(b.Labels), len(b.IDs), len(b.Images))
		}
		for k, id := range b.IDs {
			if !bytes.Equal(b.Images[4*k:4*k+4], set.Images[4*id:4*id+4]) || b.Labels[k] != set.Labels[id] {
				t.Fatalf("image %d is not that of the set", id)
			}
		}
		ids = append(ids, b.IDs...)
		l.Release(b)
	}
}

func wantOrder(n, count int, seed uint64, epoch int) []int32 {
	order := make([]int32, n)
	Order(order, seed, epoch)
	return order[:count]
}

func TestLoaderOrderAtAnyWorkers(t *testing.T) {
	set := numberedSet(103)
	for workers := 1; workers <= 4; workers++ {
		for _, dropLast := range []bool{false, true} {
			slow := &slowSet{InMemory: set, bad: -1, delay: 20 * time.Microsecond}
			l := newTestLoader(t, LoaderConfig{Set: slow, Batch: 10, Seed: 5, Shuffle: true, DropLast: dropLast, Workers: workers, Prefetch: 4})
			count, steps := 103, 11
			if dropLast {
				count, steps = 100, 10
			}
			if l.Steps() != steps {
				t.Fatalf("steps: want %d, got %d", steps, l.Steps())
			}
			for epoch := range 4 {
				l.Start(epoch, 0)
				if got, want := drain(t, l, set), wantOrder(103, count, 5, epoch); !slices.Equal(got, want) {
					t.Fatalf("workers %d, dropLast %v, epoch %d: order %v, want %v", workers, dropLast, epoch, got, want)
				}
				if _, err := l.Next(); err != io.EOF {
					t.Fatalf("after the epoch: want io.EOF, got %v", err)
				}
			}
			l.Close()
		}
	}
}

func TestLoaderResumes(t *testing.T) {
	set := numberedSet(57)
	l := newTestLoader(t, LoaderConfig{Set: set, Batch: 8, Seed: 9, Shuffle: true})
	positions := [][2]int{{3, 5}, {3, 5}, {0, 0}, {7, 7}, {2, 8}, {3, 0}, {9, 8}, {4, 0}, {4, 0}, {4, 7}, {6, 0}}
	for _, p := range positions {
		epoch, batch := p[0], p[1]
		l.Start(epoch, batch)
		want := wantOrder(57, 57, 9, epoch)[min(8*batch, 57):]
		if got := drain(t, l, set); !slices.Equal(got, want) {
			t.Fatalf("from epoch %d, batch %d: order %v, want %v", epoch, batch, got, want)
		}
	}
	// In the middle of an epoch, with a batch held across the restart.
	l.Start(1, 0)
	held, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(held.Images)
	l.Start(2, 3)
	if got, want := drain(t, l, set), wantOrder(57, 57, 9, 2)[24:]; !slices.Equal(got, want) {
		t.Fatalf("after a restart in mid-epoch: order %v, want %v", got, want)
	}
	if !bytes.Equal(before, held.Images) {
		t.Error("a held batch was overwritten")
	}
	l.Release(held)
}

func TestLoaderEpochShorterThanPrefetch(t *testing.T) {
	set := numberedSet(5)
	l := newTestLoader(t, LoaderConfig{Set: set, Batch: 64, Seed: 1, Shuffle: true, Prefetch: 6, Workers: 3})
	if l.Steps() != 1 {
		t.Fatalf("steps: want 1, got %d", l.Steps())
	}
	for epoch := range 20 {
		l.Start(epoch, 0)
		if got, want := drain(t, l, set), wantOrder(5, 5, 1, epoch); !slices.Equal(got, want) {
			t.Fatalf("epoch %d: order %v, want %v", epoch, got, want)
		}
	}
}

func TestLoaderUnshuffledKeepsPrefetched(t *testing.T) {
	set := numberedSet(40)
	counted := &slowSet{InMemory: set, bad: -1}
	l := newTestLoader(t, LoaderConfig{Set: counted, Batch: 10, Prefetch: 2})
	want := make([]int32, 40)
	for i := range want {
		want[i] = int32(i)
	}
	const rounds = 25
	for range rounds {
		l.Start(0, 0)
		if got := drain(t, l, set); !slices.Equal(got, want) {
			t.Fatalf("order %v", got)
		}
	}
	l.Close()
	if got, most := counted.reads.Load(), int64(rounds*40+3*10); got > most {
		t.Errorf("%d images read, want at most %d: batches read ahead were thrown away", got, most)
	}
}

func TestLoaderPrefetchesTheNextEpochWithinBounds(t *testing.T) {
	set := &slowSet{InMemory: numberedSet(40), bad: -1}
	l := newTestLoader(t, LoaderConfig{Set: set, Batch: 10, Shuffle: true, Prefetch: 3})
	l.Start(0, 0)
	drain(t, l, set.InMemory)
	// 4 batches of epoch 0, and as many of epoch 1 as there are buffers.
	waitFor(t, func() bool { return set.reads.Load() == 40+40 })
	time.Sleep(20 * time.Millisecond)
	if got := set.reads.Load(); got != 80 {
		t.Errorf("%d images read, want 80", got)
	}
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("waited for 10 s")
		}
	}
}

func TestLoaderReportsBadImages(t *testing.T) {
	set := &slowSet{InMemory: numberedSet(30), bad: 14}
	l := newTestLoader(t, LoaderConfig{Set: set, Batch: 10})
	l.Start(0, 0)
	var ids []int32
	var failures int
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			failures++
			if !errors.Is(err, errBadImage) {
				t.Errorf("error %v does not carry the cause", err)
			}
			continue
		}
		ids = append(ids, b.IDs[0])
		l.Release(b)
	}
	if failures != 1 || !slices.Equal(ids, []int32{0, 20}) {
		t.Errorf("%d failures, batches from %v; want 1, and 0, 20", failures, ids)
	}
}

// With IDsOnly a loader delivers the same order as otherwise, and reads no images.
func TestLoaderOfIDs(t *testing.T) {
	for _, dropLast := range []bool{false, true} {
		set := &slowSet{InMemory: numberedSet(57), bad: 3}
		l := newTestLoader(t, LoaderConfig{Set: set, Batch: 8, Seed: 9, Shuffle: true, DropLast: dropLast, IDsOnly: true, Workers: 3})
		for _, p := range [][2]int{{0, 0}, {1, 0}, {5, 4}, {6, 0}} {
			l.Start(p[0], p[1])
			count := 57
			if dropLast {
				count = 56
			}
			var got []int32
			for {
				b, err := l.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if b.N != len(b.IDs) || len(b.Images) != 0 || len(b.Labels) != 0 {
					t.Fatalf("batch of %d has %d ids, %d bytes, %d labels, want ids only", b.N, len(b.IDs), len(b.Images), len(b.Labels))
				}
				got = append(got, b.IDs...)
				l.Release(b)
			}
			if want := wantOrder(57, count, 9, p[0])[8*p[1]:]; !slices.Equal(got, want) {
				t.Errorf("from epoch %d, batch %d: order %v, want %v", p[0], p[1], got, want)
			}
		}
		l.Close()
		if n := set.reads.Load(); n != 0 {
			t.Errorf("%d images were read, want none", n)
		}
	}
}

// TestLoaderOfParts: loaders that read parts of the batches deliver together what one loader delivers, in its order, and
// read each image once.
func TestLoaderOfParts(t *testing.T) {
	const loaders, images, batch = 3, 20, 8 // the last batch of an epoch has 4 images
	set := numberedSet(images)
	cfg := LoaderConfig{Set: set, Batch: batch, Seed: 5, Shuffle: true}
	whole := newTestLoader(t, cfg)
	var parts []*Loader
	counted := &slowSet{InMemory: set, bad: -1}
	for k := range loaders {
		cfg.Set, cfg.Workers = counted, 2
		cfg.Part = func(n int) (from, to int) { return k * n / loaders, (k + 1) * n / loaders }
		parts = append(parts, newTestLoader(t, cfg))
	}
	for epoch := range 2 {
		for _, l := range append(parts, whole) {
			l.Start(epoch, 0)
		}
		for step := range whole.Steps() {
			want, err := whole.Next()
			if err != nil {
				t.Fatal(err)
			}
			var ids, labels []int32
			var pixels []byte
			for _, l := range parts {
				b, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				if b.Whole() != want.N || b.N != len(b.IDs) {
					t.Errorf("batch %d: %d images of %d, want a part of %d", step, b.N, b.Whole(), want.N)
				}
				ids, labels, pixels = append(ids, b.IDs...), append(labels, b.Labels...), append(pixels, b.Images...)
				l.Release(b)
			}
			if !slices.Equal(ids, want.IDs) || !slices.Equal(labels, want.Labels) || !bytes.Equal(pixels, want.Images) {
				t.Errorf("epoch %d, batch %d: images %v, want %v", epoch, step, ids, want.IDs)
			}
			whole.Release(want)
		}
	}
	for _, l := range parts {
		l.Close()
	}
	if reads, ahead := counted.reads.Load(), int64(loaders*4*3); reads < 2*images || reads > 2*images+ahead {
		t.Errorf("%d images read for two epochs of %d", reads, images)
	}
}

func TestLoaderAllocatesNothing(t *testing.T) {
	set := numberedSet(1000)
	l := newTestLoader(t, LoaderConfig{Set: set, Batch: 64, Shuffle: true})
	epoch := 0
	l.Start(epoch, 0)
	step := func() {
		b, err := l.Next()
		if err == io.EOF {
			epoch++
			l.Start(epoch, 0)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		l.Release(b)
	}
	for range 100 {
		step()
	}
	if got := testing.AllocsPerRun(500, step); got != 0 {
		t.Errorf("%v allocations a step", got)
	}
}

func TestLoaderCloseLeaksNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 20 {
		set := &slowSet{InMemory: numberedSet(500), bad: -1, delay: 50 * time.Microsecond}
		l, err := NewLoader(LoaderConfig{Set: set, Batch: 50, Workers: 4})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			l.Close() // without Start
		}
		l.Start(0, 0)
		done := make(chan error, 1)
		go func() {
			for {
				b, err := l.Next()
				if err != nil {
					done <- err
					return
				}
				for k, id := range b.IDs {
					if b.Labels[k] != id%10 {
						done <- fmt.Errorf("label of %d is %d", id, b.Labels[k])
						return
					}
				}
				l.Release(b)
			}
		}()
		time.Sleep(time.Duration(i) * 50 * time.Microsecond)
		l.Close()
		l.Close()
		if err := <-done; err != ErrClosed && err != io.EOF {
			t.Fatalf("want ErrClosed, got %v", err)
		}
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

func TestLoaderPanicsOnMisuse(t *testing.T) {
	l := newTestLoader(t, LoaderConfig{Set: numberedSet(100), Batch: 1, Prefetch: 1})
	l.Start(0, 0)
	a, _ := l.Next()
	b, _ := l.Next()
	mustPanic(t, "every batch held", func() { l.Next() })
	l.Release(a)
	mustPanic(t, "released twice", func() { l.Release(a) })
	mustPanic(t, "no such batch", func() { l.Start(0, 101) })
	l.Release(b)
}

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

func TestNewLoaderRefuses(t *testing.T) {
	set := numberedSet(10)
	for name, cfg := range map[string]LoaderConfig{
		"no set":             {Batch: 1},
		"empty set":          {Set: numberedSet(0), Batch: 1},
		"zero batch":         {Set: set},
		"negative batch":     {Set: set, Batch: -1},
		"negative prefetch":  {Set: set, Batch: 1, Prefetch: -1},
		"negative workers":   {Set: set, Batch: 1, Workers: -1},
		"batch over the set": {Set: set, Batch: 11, DropLast: true},
	} {
		if _, err := NewLoader(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestOrderIsAFairPermutation(t *testing.T) {
	order := make([]int32, 1001)
	Order(order, 3, 4)
	sorted := slices.Clone(order)
	slices.Sort(sorted)
	for i, id := range sorted {
		if int(id) != i {
			t.Fatalf("not a permutation: %d at %d", id, i)
		}
	}
	other := make([]int32, 1001)
	Order(other, 3, 5)
	if slices.Equal(order, other) {
		t.Error("two epochs have the same order")
	}
	Order(other, 4, 4)
	if slices.Equal(order, other) {
		t.Error("two seeds have the same order")
	}
	// All 24 orders of four images occur about equally often.
	seen := map[[4]int32]int{}
	const draws = 24 * 500
	for epoch := range draws {
		var four [4]int32
		Order(four[:], 1, epoch)
		seen[four]++
	}
	chi2 := 0.0
	for _, n := range seen {
		d := float64(n) - draws/24
		chi2 += d * d / (draws / 24)
	}
	// 23 degrees of freedom: above 49.7 with probability 0.001.
	if len(seen) != 24 || chi2 > 49.7 {
		t.Errorf("%d orders seen, chi2 = %.1f", len(seen), chi2)
	}
}

func BenchmarkLoader(b *testing.B) {
	set := &InMemory{H: 32, W: 32, C: 3, ClassNames: cifarClasses(), Images: make([]byte, 10000*cifarPixels), Labels: make([]int32, 10000)}
	l, err := NewLoader(LoaderConfig{Set: set, Batch: 256, Shuffle: true})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	epoch := 0
	l.Start(epoch, 0)
	b.ReportAllocs()
	images := 0
	for b.Loop() {
		batch, err := l.Next()
		if err == io.EOF {
			epoch++
			l.Start(epoch, 0)
			continue
		}
		images += batch.N
		l.Release(batch)
	}
	b.ReportMetric(float64(images)/b.Elapsed().Seconds(), "img/s")
}

// Images that are in memory need no more than two workers; decoding uses all processors, each with a batch of its own.
func TestWorkersFollowTheSet(t *testing.T) {
	memory := &InMemory{H: 1, W: 1, C: 1, Images: make([]byte, 8), Labels: make([]int32, 8), ClassNames: []string{"a"}}
	for _, tt := range []struct {
		set  Set
		want int
	}{
		{memory, 2}, {Subset(memory, []int{3, 4}), 2}, {struct{ Set }{memory}, max(2, runtime.GOMAXPROCS(0))},
	} {
		l, err := NewLoader(LoaderConfig{Set: tt.set, Batch: 1})
		if err != nil {
			t.Fatal(err)
		}
		if l.workers != tt.want || len(l.ready) < l.workers {
			t.Errorf("%T: %d workers and %d batches, want %d workers", tt.set, l.workers, len(l.ready), tt.want)
		}
	}
}
