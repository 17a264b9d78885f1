package ranks_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"trainer/cpu"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
	"trainer/nn/ranks"
)

func open(t *testing.T, size int) (all []devicetest.CollectiveRank) {
	for _, transport := range ranks.NewGoroutines(size) {
		dev, err := cpu.New(cpu.WithThreads(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dev.Close() })
		all = append(all, devicetest.CollectiveRank{Collective: ranks.New(transport, dev), Device: dev, Abort: transport.Abort})
	}
	return all
}

func TestGoroutines(t *testing.T) { devicetest.RunCollective(t, open) }

// TestAllReduceAllocatesNothing: nor do the other ranks, which run at the same time.
func TestAllReduceAllocatesNothing(t *testing.T) {
	all := open(t, 2)
	var plans []device.AllReduce
	for _, r := range all {
		x, err := r.Device.NewTensor(device.Float32, 1000)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := r.NewAllReduce(device.AllReduceSpec{Tensors: []*device.Tensor{x}})
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, plan)
	}
	const runs = 50
	var other sync.WaitGroup
	other.Go(func() {
		for range runs + 1 { // AllocsPerRun calls once more
			if err := plans[1].Run(); err != nil {
				t.Error(err)
			}
		}
	})
	if allocs := testing.AllocsPerRun(runs, func() {
		if err := plans[0].Run(); err != nil {
			t.Error(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	other.Wait()
}

// TestMismatch: ranks that don't make the same calls get an error that names one of them.
func TestMismatch(t *testing.T) {
	all := open(t, 2)
	var running sync.WaitGroup
	for i, r := range all {
		running.Go(func() {
			err := r.Broadcast(make([]byte, 3+i), 0)
			if e, ok := errors.AsType[*ranks.RankError](err); i == 1 && (!ok || e.Rank != 1 || !strings.Contains(e.Reason, "4 bytes")) {
				t.Errorf("rank %d: %v", i, err)
			}
		})
	}
	running.Wait()
}

func TestAgree(t *testing.T) {
	cause := errors.New("no space left")
	for _, at := range []int{-1, 0, 2} {
		var running sync.WaitGroup
		for i, r := range open(t, 3) {
			running.Go(func() {
				var own error
				if i == at {
					own = cause
				}
				err := ranks.Agree(r, own)
				switch {
				case at == -1:
					if err != nil {
						t.Errorf("rank %d: %v", i, err)
					}
				case i == at && !errors.Is(err, cause):
					t.Errorf("rank %d: %v, want its own error", i, err)
				case !errors.As(err, new(*ranks.AgreedError)):
					t.Errorf("rank %d: %v, want an AgreedError", i, err)
				case i != at && (!errors.As(err, new(*ranks.RankError)) || !strings.Contains(err.Error(), ": no space left")):
					t.Errorf("rank %d: %v, want the other rank's", i, err)
				}
			})
		}
		running.Wait()
	}
}

// TestAgreeOnCause: an error of ranks that have waited in vain is that of the rank they have waited for, if it has one.
func TestAgreeOnCause(t *testing.T) {
	waited := fmt.Errorf("connecting: %w", device.ErrAwaited)
	for want, errs := range map[string][]error{
		"rank 2 on " + ranks.Host() + ": no memory": {waited, nil, errors.New("no memory")},
		waited.Error(): {waited, waited, waited},
		"rank 1 on " + ranks.Host() + ": " + waited.Error(): {nil, waited, nil},
	} {
		var running sync.WaitGroup
		for i, r := range open(t, 3) {
			running.Go(func() {
				err := ranks.Agree(r, errs[i])
				if i == 0 && (!errors.As(err, new(*ranks.AgreedError)) || err.Error() != want) {
					t.Errorf("%v, want %s", err, want)
				}
				if err == nil {
					t.Errorf("rank %d has no error, want %s", i, want)
				}
			})
		}
		running.Wait()
	}
}

func TestSame(t *testing.T) {
	var running sync.WaitGroup
	for i, r := range open(t, 3) {
		running.Go(func() {
			differ := func(its, first []byte) string { return "it has " + string(its) + ", rank 0 " + string(first) }
			if err := ranks.Same(r, []byte("1"), differ); err != nil {
				t.Errorf("rank %d: %v", i, err)
			}
			err := ranks.Same(r, []byte{byte('1' + i/2)}, differ)
			if want := "rank 2 on " + ranks.Host() + ": it has 2, rank 0 1"; err == nil || err.Error() != want {
				t.Errorf("rank %d: %v, want %s", i, err, want)
			}
		})
	}
	running.Wait()
}

func TestDivides(t *testing.T) {
	for _, c := range []struct {
		ranks, parts int
		want         bool
	}{{1, 8, true}, {2, 8, true}, {8, 8, true}, {3, 8, false}, {16, 8, false}, {3, 6, true}, {2, 6, false}, {1, 7, true}, {7, 7, true}} {
		if got := ranks.Divides(c.ranks, c.parts); got != c.want {
			t.Errorf("%d ranks share %d parts: %v", c.ranks, c.parts, got)
		}
	}
}
