package data

import (
	"sync"
	"sync/atomic"
)

// parallel calls work(0) ... work(n-1) from at most workers goroutines. If a call fails, no
// new calls begin, and parallel returns the error with the lowest index.
func parallel(n, workers int, work func(i int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		wg     sync.WaitGroup
		mu     sync.Mutex
		first  error
		at     int
	)
	for range min(n, workers) {
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1) - 1)
				if i >= n {
					return
				}
				if err := work(i); err != nil {
					failed.Store(true)
					mu.Lock()
					if first == nil || i < at {
						first, at = err, i
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}
