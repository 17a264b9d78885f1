// Package parallel spreads a loop over a fixed set of goroutines.
package parallel

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

// Task is a loop body. Do is called once for each index, by any worker, in any order;
// worker, below Pool.Workers, is the index of the worker, which may have scratch memory
// of its own. What Do(index) computes must not depend on worker, so that results are the
// same with any number of workers.
type Task interface {
	Do(index, worker int)
}

// Pool is a fixed number of workers: the goroutine that calls Run, and workers-1 helpers.
// When a loop has ended, helpers first spin briefly, because the next loop usually begins
// soon, and then sleep.
type Pool struct {
	workers int

	// The current loop. Run writes these before it advances generation.
	task Task
	n    int64

	next       atomic.Int64 // next index to hand out
	running    atomic.Int64 // helpers that have not finished this generation
	generation atomic.Uint64
	closed     atomic.Bool
	failure    atomic.Pointer[failure]

	sleep    sync.Mutex
	wake     *sync.Cond
	sleepers int // guarded by sleep
}

// failure is the first panic of a helper, which Run raises again in its caller's
// goroutine.
type failure struct{ value any }

// spins is the number of times that a waiting goroutine checks for a new loop before it
// sleeps or yields: about 10 microseconds, the usual gap between two operations of a
// training step.
const spins = 30_000

// New starts a pool of the given number of workers, at least 1.
func New(workers int) *Pool {
	if workers < 1 {
		panic(fmt.Sprintf("parallel: New(%d): need at least one worker", workers))
	}
	p := &Pool{workers: workers}
	p.wake = sync.NewCond(&p.sleep)
	for w := 1; w < workers; w++ {
		go p.help(w)
	}
	return p
}

// Workers returns the number of workers, including the caller of Run.
func (p *Pool) Workers() int { return p.workers }

// Run calls task.Do(i, worker) for every i in [0, n) and returns when all are done. It
// must not be called from two goroutines at once, nor from within a task. A panic in a
// task is raised again here.
func (p *Pool) Run(n int, task Task) {
	if p.workers == 1 || n <= 1 {
		for i := 0; i < n; i++ {
			task.Do(i, 0)
		}
		return
	}
	p.task, p.n = task, int64(n)
	p.next.Store(0)
	p.running.Store(int64(p.workers - 1))
	p.generation.Add(1)
	p.sleep.Lock()
	if p.sleepers > 0 {
		p.wake.Broadcast()
	}
	p.sleep.Unlock()

	p.work(0)
	for i := 0; p.running.Load() > 0; i++ {
		if i >= spins {
			runtime.Gosched()
		}
	}
	p.task = nil
	if f := p.failure.Swap(nil); f != nil {
		panic(f.value)
	}
}

// Close stops the helpers. Run must not be called after it.
func (p *Pool) Close() {
	p.closed.Store(true)
	p.sleep.Lock()
	p.wake.Broadcast()
	p.sleep.Unlock()
}

// work runs the task for one index after the other until no index is left.
func (p *Pool) work(worker int) {
	defer p.catch()
	for {
		i := p.next.Add(1) - 1
		if i >= p.n {
			return
		}
		p.task.Do(int(i), worker)
	}
}

// catch keeps the first panic and stops handing out indices.
func (p *Pool) catch() {
	if v := recover(); v != nil {
		p.failure.CompareAndSwap(nil, &failure{v})
		p.next.Store(p.n)
	}
}

func (p *Pool) help(worker int) {
	var seen uint64
	for {
		if !p.await(seen) {
			return
		}
		seen++
		p.work(worker)
		p.running.Add(-1)
	}
}

// await returns true when a loop after generation seen has begun, false when the pool
// has been closed.
func (p *Pool) await(seen uint64) bool {
	for i := 0; i < spins; i++ {
		if p.generation.Load() != seen {
			return true
		}
		if p.closed.Load() {
			return false
		}
	}
	p.sleep.Lock()
	defer p.sleep.Unlock()
	for p.generation.Load() == seen {
		if p.closed.Load() {
			return false
		}
		p.sleepers++
		p.wake.Wait()
		p.sleepers--
	}
	return true
}
