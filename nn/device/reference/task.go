package reference

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// eachTask calls task with each of 0 to n-1, on all processors. Every task computes elements of its own, each as a sum in
// a fixed order, so the number of processors doesn't change a bit.
func eachTask(n int, task func(i int)) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				task(i)
			}
		})
	}
	group.Wait()
}
