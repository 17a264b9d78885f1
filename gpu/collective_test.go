//go:build cuda && linux && cgo && (amd64 || arm64)

package gpu

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"trainer/gpu/cudasim"
	"trainer/nn/device"
	"trainer/nn/device/devicetest"
	"trainer/nn/ranks"
)

// connectedRank is a rank of a test, on an emulated GPU of its own.
type connectedRank struct {
	devicetest.CollectiveRank
	cancel context.CancelCauseFunc
	err    error
}

// connect connects so many emulated GPUs, the ranks being goroutines.
func connect(t *testing.T, size int, o device.ConnectOptions, opts ...Option) []connectedRank {
	t.Helper()
	emulate(t, fmt.Sprintf("devices=%d", size))
	t.Setenv("TMPDIR", t.TempDir())
	all := make([]connectedRank, size)
	transports := ranks.NewGoroutines(size)
	var running sync.WaitGroup
	for i := range all {
		dev, err := New(i, inFP32(opts)...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		all[i].CollectiveRank = devicetest.CollectiveRank{Device: dev, Rounded: !dev.(*Device).deterministic, Abort: transports[i].Abort}
		all[i].cancel = cancel
		running.Go(func() {
			all[i].Collective, all[i].err = Connect(ctx, dev, ranks.New(transports[i], nil), o)
		})
	}
	running.Wait()
	t.Cleanup(func() { // together, as ranks do
		for _, r := range all {
			running.Go(func() {
				if err := r.Device.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
	})
	return all
}

// TestCollective passes the suite on emulated GPUs: with NCCL's sums, and with those whose order is ours.
func TestCollective(t *testing.T) {
	for name, opts := range map[string][]Option{"fastest": nil, "deterministic": {WithDeterministic()}} {
		t.Run(name, func(t *testing.T) {
			devicetest.RunCollective(t, func(t *testing.T, size int) (list []devicetest.CollectiveRank) {
				for _, r := range connect(t, size, device.ConnectOptions{}, opts...) {
					if r.err != nil {
						t.Fatal(r.err)
					}
					list = append(list, r.CollectiveRank)
				}
				return list
			}, 2, 3)
		})
	}
}

// TestConnectRefused: ranks that can't be connected get an error that says why, and none waits.
func TestConnectRefused(t *testing.T) {
	for name, c := range map[string]struct{ settings, want string }{
		"no identifier": {"fail=ncclGetUniqueId#1:SystemError", "ncclSystemError"},
		"no connection": {"fail=ncclCommInitRankConfig#1+:InternalError", "ncclInternalError"},
	} {
		t.Run(name, func(t *testing.T) {
			emulate(t, "devices=2; "+c.settings)
			transports := ranks.NewGoroutines(2)
			var running sync.WaitGroup
			for i, transport := range transports {
				dev, err := New(i)
				if err != nil {
					t.Fatal(err)
				}
				running.Go(func() {
					defer dev.Close()
					if _, err := Connect(t.Context(), dev, ranks.New(transport, nil), device.ConnectOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
						t.Errorf("rank %d: %v, want %s", i, err, c.want)
					}
				})
			}
			running.Wait()
		})
	}
}

// TestCompatible: what ranks tell each other decides whether they connect.
func TestCompatible(t *testing.T) {
	for want, all := range map[string][]introduction{
		"":                                    {{Host: "a", GPU: "1", NCCL: "2.18.5"}, {Host: "a", GPU: "2", NCCL: "2.18.5"}, {Host: "b", GPU: "1", NCCL: "2.18.5"}},
		"rank 1 on b: libnccl.so.2 not found": {{Host: "a", GPU: "1"}, {Host: "b", GPU: "2", Error: "libnccl.so.2 not found"}},
		"rank 1 on b has NCCL 2.20.3, rank 0 2.18.5":                         {{Host: "a", GPU: "1", NCCL: "2.18.5"}, {Host: "b", GPU: "1", NCCL: "2.20.3"}},
		"ranks 0 and 2 are on the same GPU of a (1): start one rank per GPU": {{Host: "a", GPU: "1"}, {Host: "a", GPU: "2"}, {Host: "a", GPU: "1"}},
	} {
		if err := compatible(all); err == nil != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestSumThatNeverEnds: a rank's GPU hangs in a sum; the watch of the other tells of it, and ending the connections ends all
// waits, with the cause as error.
func TestSumThatNeverEnds(t *testing.T) {
	for name, setting := range map[string]string{"hang": "peer=hang:1#2", "mismatch": "peer=mismatch:1#2"} {
		t.Run(name, func(t *testing.T) {
			stuck := make(chan device.Stuck, 2)
			all := connect(t, 2, device.ConnectOptions{Patience: 200 * time.Millisecond, Stuck: func(s device.Stuck) { stuck <- s }})
			configure(t, setting)
			cause := errors.New("rank 1 has gone")
			var running sync.WaitGroup
			for i, r := range all {
				if r.err != nil {
					t.Fatal(r.err)
				}
				running.Go(func() {
					err := sumTwice(r.CollectiveRank)
					if !errors.Is(err, cause) {
						t.Errorf("rank %d: %v, want %v", i, err, cause)
					}
				})
			}
			s := <-stuck
			if s.Sums != 2 || !s.Reached {
				t.Errorf("%+v, want 2 sums, the last of which has begun", s)
			}
			for _, r := range all {
				r.cancel(cause)
			}
			running.Wait()
			for _, line := range cudasim.Findings() {
				if name != "mismatch" || !strings.Contains(line, "another number of elements") {
					t.Errorf("software CUDA: %s", line)
				}
			}
			cudasim.Clear()
		})
	}
}

// sumTwice runs a sum twice, and waits for it.
func sumTwice(r devicetest.CollectiveRank) error {
	x, err := r.Device.NewTensor(device.Float32, 1000)
	if err != nil {
		return err
	}
	plan, err := r.NewAllReduce(device.AllReduceSpec{Tensors: []*device.Tensor{x}})
	if err != nil {
		return err
	}
	for range 2 {
		if err := plan.Run(); err != nil {
			return err
		}
		if err := r.Device.Sync(); err != nil {
			return err
		}
	}
	return nil
}
