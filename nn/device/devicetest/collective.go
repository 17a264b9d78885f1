package devicetest

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"trainer/nn/device"
)

// CollectiveRank is a rank of a device.Collective, with the device whose tensors it sums.
type CollectiveRank struct {
	device.Collective
	Device device.Device
	// Rounded says that sums may be taken in any order: they must be right within rounding, and alike on all ranks.
	Rounded bool
	// Abort ends the calls of the other ranks, if this one's test fails.
	Abort func(reason string)
}

// RunCollective tests an implementation of device.Collective. open returns so many connected ranks of this process.
func RunCollective(t *testing.T, open func(t *testing.T, size int) []CollectiveRank) {
	for _, size := range []int{1, 2, 3, 4, 5, 8} {
		t.Run(fmt.Sprintf("%d ranks", size), func(t *testing.T) {
			t.Run("all-reduce", func(t *testing.T) { allRanks(t, open(t, size), testAllReduce) })
			t.Run("broadcast", func(t *testing.T) { allRanks(t, open(t, size), testBroadcast) })
			t.Run("gather", func(t *testing.T) { allRanks(t, open(t, size), testGatherBytes) })
			t.Run("barrier", func(t *testing.T) { allRanks(t, open(t, size), testBarrier()) })
		})
	}
}

// CheckCollective tests one rank whose others are in other processes, which call it too.
func CheckCollective(r CollectiveRank) error {
	for _, c := range []struct {
		name string
		test func(r CollectiveRank) error
	}{{"all-reduce", testAllReduce}, {"broadcast", testBroadcast}, {"gather", testGatherBytes}} {
		if err := c.test(r); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return r.Barrier()
}

// allRanks calls f on every rank at once.
func allRanks(t *testing.T, ranks []CollectiveRank, f func(r CollectiveRank) error) {
	t.Helper()
	var running sync.WaitGroup
	for i, r := range ranks {
		if r.Rank() != i || r.Size() != len(ranks) {
			t.Fatalf("rank %d of %d, want %d of %d", r.Rank(), r.Size(), i, len(ranks))
		}
	}
	for _, r := range ranks {
		running.Go(func() {
			if err := f(r); err != nil {
				t.Errorf("rank %d: %v", r.Rank(), err)
				r.Abort("the test failed")
			}
		})
	}
	running.Wait()
}

// term is element i of what a rank adds. Sums of such terms depend on the order, and some are -0.
func term(rank, i int) float32 {
	switch i % 7 {
	case 0:
		return float32(math.Copysign(0, -1))
	case 1:
		return float32([]float64{1e30, 1, -1e30, 1}[rank%4])
	}
	return float32(math.Sin(float64(3*rank+i))) * float32(math.Exp2(float64(rank*i%11)))
}

// testAllReduce compares sums with a tree in float32, to the bit. The lengths don't divide the ranks, and a plan runs
// more than once.
func testAllReduce(r CollectiveRank) error {
	lengths := []int{1, 5, 64, 1000, 3}
	var tensors []*device.Tensor
	for _, n := range lengths {
		x, err := r.Device.NewTensor(device.Float32, n)
		if err != nil {
			return err
		}
		tensors = append(tensors, x)
	}
	plan, err := r.NewAllReduce(device.AllReduceSpec{Tensors: tensors})
	if err != nil {
		return err
	}
	for round := range 6 {
		at := round
		for _, x := range tensors {
			values := make([]float32, x.Len())
			for i := range values {
				values[i] = term(r.Rank(), at+i)
			}
			at += len(values)
			if err := r.Device.Upload(x, device.Bytes(values)); err != nil {
				return err
			}
		}
		if err := runAllReduce(r, plan, round); err != nil {
			return err
		}
		at = round
		for k, x := range tensors {
			got := make([]float32, x.Len())
			if err := r.Device.Download(device.Bytes(got), x); err != nil {
				return err
			}
			for i, g := range got {
				var terms []float32
				for rank := range r.Size() {
					terms = append(terms, term(rank, at+i))
				}
				want := pairwise(terms)
				if right := math.Float32bits(g) == math.Float32bits(want) || r.Rounded && math.Abs(float64(g)-sum(terms)) <= sumError(terms); !right {
					return fmt.Errorf("round %d: tensor %d[%d] is %v, want %v", round, k, i, g, want)
				}
			}
			if err := sameOnAll(r, device.Bytes(got)); err != nil {
				return fmt.Errorf("round %d: tensor %d: %w", round, k, err)
			}
			at += len(got)
		}
	}
	return nil
}

// runAllReduce runs a plan: in one call, beside other work if the plan can, and as part of a recorded step if the device
// records.
func runAllReduce(r CollectiveRank, plan device.AllReduce, round int) error {
	run := plan.Run
	if overlapped, ok := plan.(device.OverlappedAllReduce); ok && round%2 == 1 {
		other, err := r.Device.NewTensor(device.Float32, 100)
		if err != nil {
			return err
		}
		run = func() error {
			if err := overlapped.Start(); err != nil {
				return err
			}
			r.Device.Zero(other)
			return overlapped.Finish()
		}
	}
	capturer, ok := r.Device.(device.Capturer)
	if !ok || round < 4 || r.Size() == 1 {
		return run()
	}
	var err error
	graph, captureErr := capturer.Capture(func() { err = run() })
	if err = errors.Join(err, captureErr); err != nil {
		return err
	}
	graph.Launch()
	return graph.Close()
}

// sum is the exact sum of a few terms, rounded to float64.
func sum(x []float32) (total float64) {
	for _, v := range x {
		total += float64(v)
	}
	return total
}

// sumError bounds the error of a sum in float32, in any order: each of the additions rounds a partial sum, which is at most the
// sum of all magnitudes, by half a unit in the last place.
func sumError(x []float32) float64 {
	magnitudes := 0.0
	for _, v := range x {
		magnitudes += math.Abs(float64(v))
	}
	return float64(len(x)) * magnitudes * 0x1p-24
}

// sameOnAll returns an error unless all ranks have the same bytes.
func sameOnAll(r CollectiveRank, own []byte) error {
	all, err := r.Gather(own)
	if err != nil {
		return err
	}
	for rank, its := range all {
		if !bytes.Equal(its, own) {
			return fmt.Errorf("rank %d has other bits than rank %d", rank, r.Rank())
		}
	}
	return nil
}

// pairwise adds neighbours in pairs, level by level.
func pairwise(x []float32) float32 {
	for len(x) > 1 {
		var up []float32
		for pair := range slices.Chunk(x, 2) {
			if len(pair) == 1 {
				up = append(up, pair[0])
			} else {
				up = append(up, pair[0]+pair[1])
			}
		}
		x = up
	}
	return x[0]
}

func testBroadcast(r CollectiveRank) error {
	for root := range r.Size() {
		for _, n := range []int{0, 1, 1000} {
			data, want := make([]byte, n), bytes.Repeat([]byte{byte(root + 1)}, n)
			if r.Rank() == root {
				copy(data, want)
			}
			if err := r.Broadcast(data, root); err != nil {
				return err
			}
			if !bytes.Equal(data, want) {
				return fmt.Errorf("%d bytes of rank %d arrived as %v", n, root, data)
			}
		}
	}
	return nil
}

func testGatherBytes(r CollectiveRank) error {
	of := func(rank int) []byte { return bytes.Repeat([]byte{byte('a' + rank)}, 10*rank) }
	all, err := r.Gather(of(r.Rank()))
	if err != nil {
		return err
	}
	if len(all) != r.Size() {
		return fmt.Errorf("data of %d ranks, want %d", len(all), r.Size())
	}
	for rank, data := range all {
		if !bytes.Equal(data, of(rank)) {
			return fmt.Errorf("rank %d sent %q, arrived as %q", rank, of(rank), data)
		}
	}
	return nil
}

// testBarrier counts the ranks that have come, some of them later.
func testBarrier() func(r CollectiveRank) error {
	var mutex sync.Mutex
	came := 0
	return func(r CollectiveRank) error {
		for round := 1; round <= 3; round++ {
			mutex.Lock()
			came++
			mutex.Unlock()
			if err := r.Barrier(); err != nil {
				return err
			}
			mutex.Lock()
			now := came
			mutex.Unlock()
			if now < round*r.Size() {
				return fmt.Errorf("passed barrier %d when %d of %d had come", round, now, round*r.Size())
			}
		}
		return nil
	}
}
