package ranks

import "sync"

// background does the exchanges of sums that are under way, one after the other in the order in which they were started, which
// is the same on every rank. Its goroutine lives as long as there is something to do, so that a collective needs no end.
type background struct {
	run func() // drain: a stored function is started without an allocation

	lock    sync.Mutex
	waiting []*allReduce // the first is at index 0; keeps its memory
	busy    bool         // the goroutine runs
}

// start adds the exchanges of a sum.
func (b *background) start(p *allReduce) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.waiting = append(b.waiting, p)
	if !b.busy {
		b.busy = true
		go b.run()
	}
}

// drain does what waits, and ends when nothing does.
func (b *background) drain() {
	for p := b.next(); p != nil; p = b.next() {
		p.do()
	}
}

// next removes the first that waits; nil if none does.
func (b *background) next() *allReduce {
	b.lock.Lock()
	defer b.lock.Unlock()
	if len(b.waiting) == 0 {
		b.busy = false
		return nil
	}
	p := b.waiting[0]
	b.waiting = b.waiting[:copy(b.waiting, b.waiting[1:])]
	return p
}
