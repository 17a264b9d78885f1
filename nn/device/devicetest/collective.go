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
	// Rounded says that sums may be taken in any order: they must be right within rounding, and alike on all ranks.
	Rounded bool
	// Abort ends the calls of the other ranks, if this one's test fails.
	Abort func(reason string)
}

// RunCollective tests an implementation of device.Collective. open returns so many connected ranks of this process. The sizes are
// by default 1, 2, 3, 4, 5 and 8.
func RunCollective(t *testing.T, open func(t *testing.T, size int) []CollectiveRank, sizes ...int) {
	if len(sizes) == 0 {
		sizes = []int{1, 2, 3, 4, 5, 8}
	}
	for _, size := range sizes {
		t.Run(fmt.Sprintf("%d ranks", size), func(t *testing.T) {
			t.Run("all-reduce", func(t *testing.T) { allRanks(t, open(t, size), testAllReduce) })
			t.Run("overlapping sums", func(t *testing.T) { allRanks(t, open(t, size), testOverlap) })
			t.Run("recorded sums", func(t *testing.T) { allRanks(t, open(t, size), testRecorded) })
			t.Run("all-gather", func(t *testing.T) { allRanks(t, open(t, size), testAllGather) })
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
	}{{"all-reduce", testAllReduce}, {"overlapping sums", testOverlap}, {"all-gather", testAllGather}, {"broadcast", testBroadcast}, {"gather", testGatherBytes}} {
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

// summed is a tensor whose terms begin at an index.
type summed struct {
	*device.Tensor
	at int
}

// newSummed allocates tensors for sums, whose terms follow one another from an index.
func newSummed(r CollectiveRank, at int, lengths ...int) (list []summed, tensors []*device.Tensor, err error) {
	for _, n := range lengths {
		x, err := r.Device.NewTensor(device.Float32, n)
		if err != nil {
			return nil, nil, err
		}
		list, tensors = append(list, summed{x, at}), append(tensors, x)
		at += n
	}
	return list, tensors, nil
}

// upload gives the tensor this rank's terms of a round.
func (x summed) upload(r CollectiveRank, round int) error {
	values := make([]float32, x.Len())
	for i := range values {
		values[i] = term(r.Rank(), round+x.at+i)
	}
	return r.Device.Upload(x.Tensor, device.Bytes(values))
}

// check compares the tensor with the sums of a round, to the bit or, if they are rounded in any order, within rounding.
func (x summed) check(r CollectiveRank, round int) error {
	got := make([]float32, x.Len())
	if err := r.Device.Download(device.Bytes(got), x.Tensor); err != nil {
		return err
	}
	for i, g := range got {
		var terms []float32
		for rank := range r.Size() {
			terms = append(terms, term(rank, round+x.at+i))
		}
		want := pairwise(terms)
		if right := math.Float32bits(g) == math.Float32bits(want) || r.Rounded && math.Abs(float64(g)-exactSum(terms)) <= sumError(terms); !right {
			return fmt.Errorf("round %d: element %d of %v is %v, want %v", round, i, x.Tensor, g, want)
		}
	}
	if !r.Rounded {
		return nil
	}
	return sameOnAll(r, device.Bytes(got))
}

// exactSum is the sum of a few terms, rounded to float64.
func exactSum(x []float32) (total float64) {
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

// each calls f for each tensor, up to the first error.
func each(list []summed, f func(x summed) error) error {
	for _, x := range list {
		if err := f(x); err != nil {
			return err
		}
	}
	return nil
}

// testAllReduce compares sums with a tree in float32, to the bit. The lengths don't divide the ranks, and a plan runs
// more than once.
func testAllReduce(r CollectiveRank) error {
	list, tensors, err := newSummed(r, 0, 1, 5, 64, 1000, 3)
	if err != nil {
		return err
	}
	plan, err := r.NewAllReduce(device.AllReduceSpec{Tensors: tensors})
	if err != nil {
		return err
	}
	for round := range 3 {
		if err := each(list, func(x summed) error { return x.upload(r, round) }); err != nil {
			return err
		}
		if err := plan.Run(); err != nil {
			return err
		}
		if err := each(list, func(x summed) error { return x.check(r, round) }); err != nil {
			return err
		}
	}
	return nil
}

// testOverlap has several sums under way at once, each started as soon as its tensors are there.
func testOverlap(r CollectiveRank) error {
	var lists [][]summed
	var plans []device.AllReduce
	for k, lengths := range [][]int{{700}, {3, 1}, {64, 4096}} {
		list, tensors, err := newSummed(r, 10000*k, lengths...)
		if err != nil {
			return err
		}
		plan, err := r.NewAllReduce(device.AllReduceSpec{Tensors: tensors})
		if err != nil {
			return err
		}
		lists, plans = append(lists, list), append(plans, plan)
	}
	for round := range 3 {
		for k, plan := range plans {
			if err := each(lists[k], func(x summed) error { return x.upload(r, round) }); err != nil {
				return err
			}
			plan.Start()
		}
		for k, plan := range plans {
			if err := plan.Wait(); err != nil {
				return err
			}
			if err := each(lists[k], func(x summed) error { return x.check(r, round) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// testRecorded has sums in a recorded step, started and awaited around other work, and replays it.
func testRecorded(r CollectiveRank) error {
	capturer, ok := r.Device.(device.Capturer)
	list, tensors, err := newSummed(r, 0, 300, 5)
	if err != nil {
		return err
	}
	other, err := r.Device.NewTensor(device.Float32, 100)
	if err != nil {
		return err
	}
	plan, err := r.NewAllReduce(device.AllReduceSpec{Tensors: tensors})
	if err != nil || !ok || !plan.Recordable() {
		return err
	}
	var waitErr error
	step := func() {
		plan.Start()
		r.Device.Zero(other)
		waitErr = plan.Wait()
	}
	var graph device.Graph
	for round := range 4 {
		if err := each(list, func(x summed) error { return x.upload(r, round) }); err != nil {
			return err
		}
		switch {
		case round == 0: // what may not be recorded happens in the first step
			step()
		case round == 1:
			if graph, err = capturer.Capture(step); err != nil {
				return err
			}
			defer graph.Close()
			fallthrough
		default:
			graph.Launch()
		}
		if waitErr != nil {
			return waitErr
		}
		if err := each(list, func(x summed) error { return x.check(r, round) }); err != nil {
			return err
		}
	}
	return nil
}

// testAllGather copies tensors of every rank to all: of another number and other lengths for each rank, and none of the last.
func testAllGather(r CollectiveRank) error {
	var spec device.AllGatherSpec
	for rank := range r.Size() {
		var list []*device.Tensor
		for k := range min(rank+1, r.Size()-1) {
			x, err := r.Device.NewTensor(device.Float32, 100*rank+7*k+1)
			if err != nil {
				return err
			}
			list = append(list, x)
		}
		spec.Tensors = append(spec.Tensors, list)
	}
	plan, err := r.NewAllGather(spec)
	if err != nil {
		return err
	}
	of := func(rank, k, i, round int) float32 { return float32(rank*1000 + k*100 + i + round) }
	for round := range 2 {
		for k, x := range spec.Tensors[r.Rank()] {
			values := make([]float32, x.Len())
			for i := range values {
				values[i] = of(r.Rank(), k, i, round)
			}
			if err := r.Device.Upload(x, device.Bytes(values)); err != nil {
				return err
			}
		}
		if err := plan.Run(); err != nil {
			return err
		}
		for rank, list := range spec.Tensors {
			for k, x := range list {
				got := make([]float32, x.Len())
				if err := r.Device.Download(device.Bytes(got), x); err != nil {
					return err
				}
				for i, g := range got {
					if want := of(rank, k, i, round); g != want {
						return fmt.Errorf("round %d: element %d of tensor %d of rank %d is %v, want %v", round, i, k, rank, g, want)
					}
				}
			}
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
