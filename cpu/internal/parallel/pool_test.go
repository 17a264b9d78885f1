package parallel

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"
)

type count struct {
	seen    []atomic.Int32
	workers int
	bad     atomic.Bool
}

func (c *count) Do(i, worker int) {
	c.seen[i].Add(1)
	if worker < 0 || worker >= c.workers {
		c.bad.Store(true)
	}
}

func TestRunCallsEachIndexOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			p := New(workers)
			defer p.Close()
			for n := range 200 {
				c := &count{seen: make([]atomic.Int32, n), workers: workers}
				p.Run(n, c)
				for i := range c.seen {
					if got := c.seen[i].Load(); got != 1 {
						t.Fatalf("n=%d: index %d ran %d times", n, i, got)
					}
				}
				if c.bad.Load() {
					t.Fatalf("n=%d: a worker number out of range", n)
				}
				if n%50 == 0 {
					time.Sleep(2 * time.Millisecond) // let the helpers fall asleep
				}
			}
		})
	}
}

type bomb struct{}

func (bomb) Do(i, _ int) {
	if i == 37 {
		panic("boom")
	}
}

func TestRunRaisesATasksPanic(t *testing.T) {
	p := New(3)
	defer p.Close()
	for range 20 {
		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Fatalf("recovered %v, want boom", v)
				}
			}()
			p.Run(100, bomb{})
		}()
	}
	c := &count{seen: make([]atomic.Int32, 10), workers: 3}
	p.Run(10, c)
}

func TestRunAllocatesNothing(t *testing.T) {
	p := New(2)
	defer p.Close()
	c := &count{seen: make([]atomic.Int32, 64), workers: 2}
	if got := testing.AllocsPerRun(100, func() { p.Run(64, c) }); got != 0 {
		t.Fatalf("%v allocations a call, want 0", got)
	}
}

func BenchmarkRun(b *testing.B) {
	p := New(2)
	defer p.Close()
	c := &count{seen: make([]atomic.Int32, 2), workers: 2}
	for b.Loop() {
		p.Run(2, c)
	}
}
