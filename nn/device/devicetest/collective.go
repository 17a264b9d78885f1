package devicetest

import (
	"bytes"
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
	for round := range 3 {
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
		if err := plan.Run(); err != nil {
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
				if want := pairwise(terms); math.Float32bits(g) != math.Float32bits(want) {
					return fmt.Errorf("round %d: tensor %d[%d] is %v, want %v", round, k, i, g, want)
				}
			}
			at += len(got)
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
