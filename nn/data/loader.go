package data

import (
	"fmt"
	"io"
	"runtime"
	"sync"
)

// Batch is a batch of images in the order of the epoch. It belongs to its Loader, and is
// valid until it is passed to Release.
type Batch struct {
	N      int
	Of     int     // images of the whole batch, if these are a part of it (LoaderConfig.Part); 0 or N if they are all
	Images []byte  // [n, h, w, c]; empty if the loader delivers only indices
	Labels []int32 // [n]; also empty then
	IDs    []int32 // [n], the images' indices in the set

	err  error
	held bool // by the consumer
}

// LoaderConfig says what a loader delivers.
type LoaderConfig struct {
	Set      Set
	Batch    int    // images per batch
	Seed     uint64 // of the order
	Shuffle  bool   // a new order in each epoch, see Order; otherwise the order of the set
	DropLast bool   // leave out the last batch if it is smaller
	IDsOnly  bool   // deliver only the images' indices and read no images: the consumer has the images
	Prefetch int    // largest number of batches ready; 0 means 3, or the number of workers if that is larger
	Workers  int    // goroutines that read batches; 0 means 2, or GOMAXPROCS if that is larger and the set is not in memory
	// Part returns which images of a batch of n are read and delivered, from <= i < to with 0 <= from < to <= n. nil means
	// all: several processes can each read a part of every batch.
	Part func(n int) (from, to int)
}

// Loader reads batches ahead in background goroutines. Near the end of an epoch it
// continues with the next epoch, so that Start(epoch+1, 0) finds batches ready.
//
// It owns Prefetch+1 batches, and allocates nothing after creating them. Batches come in the
// epoch's order, whatever the number of workers. Start, Next and Release must be called from
// one goroutine; Close may be called from another.
type Loader struct {
	set      Set
	batch    int
	seed     uint64
	shuffle  bool
	part     func(n int) (from, to int)
	idsOnly  bool
	workers  int
	steps    int
	imageLen int
	count    int // images per epoch

	free  chan *Batch   // batches to be filled
	ready []chan *Batch // ready[s%len] receives batch s of the sequence

	// The batch that the consumer asks for next.
	epoch, step int
	sequence    int // number of the batch, counted from the last restart
	held        int // batches not released

	// The batch that the workers read next. A worker takes a buffer from free before it claims
	// a batch, and batches are claimed in order. So the batch that Next waits for always has a
	// buffer, and no two batches that are being read or ready have the same place in ready.
	claim struct {
		sync.Mutex
		epoch, step int
		sequence    int
		order       []int32 // of epoch
	}

	life    sync.Mutex // guards the start and the end of workers
	running sync.WaitGroup
	stop    chan struct{} // closed to stop the workers; nil if there are none
	closed  chan struct{}
}

// NewLoader returns a loader that does nothing until Start.
func NewLoader(cfg LoaderConfig) (*Loader, error) {
	if cfg.Set == nil {
		return nil, fmt.Errorf("loader: missing set")
	}
	if err := checkSet(cfg.Set); err != nil {
		return nil, fmt.Errorf("loader: %w", err)
	}
	if cfg.Batch <= 0 || cfg.Prefetch < 0 || cfg.Workers < 0 {
		return nil, fmt.Errorf("loader: want a positive batch, prefetch and workers 0 or more, got batch %d, prefetch %d, workers %d",
			cfg.Batch, cfg.Prefetch, cfg.Workers)
	}
	n := cfg.Set.Len()
	if cfg.DropLast && cfg.Batch > n {
		return nil, fmt.Errorf("loader: a batch of %d is larger than the set of %d images", cfg.Batch, n)
	}
	h, w, c := cfg.Set.ImageShape()
	l := &Loader{
		set: cfg.Set, batch: min(cfg.Batch, n), seed: cfg.Seed, shuffle: cfg.Shuffle, part: cfg.Part, idsOnly: cfg.IDsOnly,
		workers: cfg.Workers, imageLen: h * w * c, count: n, closed: make(chan struct{}),
	}
	if l.workers == 0 {
		l.workers = 2
		if !IsInMemory(cfg.Set) { // reading is decoding, and takes all processors to keep up with a fast device
			l.workers = max(2, runtime.GOMAXPROCS(0))
		}
	}
	if cfg.IDsOnly { // there is almost nothing to do
		l.workers = 1
	}
	if cfg.DropLast {
		l.count = n / cfg.Batch * cfg.Batch
	}
	l.steps = (l.count + l.batch - 1) / l.batch
	l.step = l.steps // before Start, Next is at the end of an epoch
	l.claim.order = make([]int32, n)
	if l.part == nil {
		l.part = func(n int) (from, to int) { return 0, n }
	}

	buffers := cfg.Prefetch + 1
	if cfg.Prefetch == 0 {
		buffers = max(3, l.workers) + 1
	}
	l.free = make(chan *Batch, buffers)
	l.ready = make([]chan *Batch, buffers)
	for i := range buffers {
		l.ready[i] = make(chan *Batch, 1)
		l.free <- l.newBatch()
	}
	return l, nil
}

// IsInMemory reports whether reading an image of a set is only a copy.
func IsInMemory(set Set) bool {
	switch s := set.(type) {
	case *InMemory:
		return true
	case *subset:
		return IsInMemory(s.Set)
	case *joined:
		return IsInMemory(s.Set) && IsInMemory(s.second)
	}
	return false
}

// newBatch allocates a batch with space for what the loader delivers.
func (l *Loader) newBatch() *Batch {
	b := &Batch{IDs: make([]int32, l.batch)}
	if !l.idsOnly {
		b.Images, b.Labels = make([]byte, l.batch*l.imageLen), make([]int32, l.batch)
	}
	return b
}

// Whole returns the number of images of the whole batch, of which these may be a part.
func (b *Batch) Whole() int { return max(b.N, b.Of) }

// Steps returns the number of batches per epoch.
func (l *Loader) Steps() int { return l.steps }

// Start makes (epoch, firstBatch) the next batch; 0 <= firstBatch <= Steps. If that batch
// would have come next anyway, the batches that were read ahead are kept.
func (l *Loader) Start(epoch, firstBatch int) {
	if epoch < 0 || firstBatch < 0 || firstBatch > l.steps {
		panic(fmt.Sprintf("data: Loader.Start: epoch %d, batch %d of %d", epoch, firstBatch, l.steps))
	}
	l.life.Lock()
	defer l.life.Unlock()
	if l.isClosed() {
		return
	}
	nextEpoch, nextStep := l.position(l.epoch, l.step)
	wantEpoch, wantStep := l.position(epoch, firstBatch)
	l.epoch, l.step = epoch, firstBatch
	// Unshuffled, all epochs are the same.
	if l.stop != nil && wantStep == nextStep && (wantEpoch == nextEpoch || !l.shuffle) {
		return
	}
	l.endWorkers()
	for _, place := range l.ready {
		select {
		case b := <-place:
			l.free <- b
		default:
		}
	}
	l.sequence = 0
	l.claim.epoch, l.claim.step, l.claim.sequence = wantEpoch, wantStep, 0
	l.fillOrder()
	l.stop = make(chan struct{})
	for range l.workers {
		stop := l.stop
		l.running.Go(func() { l.work(stop) })
	}
}

// position returns the position of the batch (epoch, step): after an epoch's last batch comes
// the first batch of the next epoch.
func (l *Loader) position(epoch, step int) (int, int) {
	if step == l.steps {
		return epoch + 1, 0
	}
	return epoch, step
}

// endWorkers stops the workers and waits for them.
func (l *Loader) endWorkers() {
	if l.stop == nil {
		return
	}
	close(l.stop)
	l.running.Wait()
	l.stop = nil
}

// fillOrder sets claim.order for claim.epoch.
func (l *Loader) fillOrder() {
	if l.shuffle {
		Order(l.claim.order, l.seed, l.claim.epoch)
		return
	}
	for i := range l.claim.order {
		l.claim.order[i] = int32(i)
	}
}

// work fills batches until stop is closed.
func (l *Loader) work(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		default:
		}
		select {
		case <-stop:
			return
		case b := <-l.free:
			sequence := l.claimNext(b)
			l.fill(b, stop)
			l.ready[sequence%len(l.ready)] <- b
		}
	}
}

// claimNext writes the indices of the next batch's images to b, and returns the batch's
// place in the sequence.
func (l *Loader) claimNext(b *Batch) (sequence int) {
	c := &l.claim
	c.Lock()
	defer c.Unlock()
	if c.step == l.steps {
		c.epoch, c.step = c.epoch+1, 0
		if l.shuffle {
			l.fillOrder()
		}
	}
	first := c.step * l.batch
	b.Of = min(l.batch, l.count-first)
	from, to := l.part(b.Of)
	b.N = to - from
	b.IDs = b.IDs[:b.N]
	copy(b.IDs, c.order[first+from:first+to])
	sequence = c.sequence
	c.step++
	c.sequence++
	return sequence
}

// fill reads b's images, if the consumer wants them. If stop is closed, fill breaks off and the batch is discarded.
func (l *Loader) fill(b *Batch, stop <-chan struct{}) {
	b.err = nil
	if l.idsOnly {
		return
	}
	b.Images = b.Images[:b.N*l.imageLen]
	b.Labels = b.Labels[:b.N]
	for k, id := range b.IDs {
		select {
		case <-stop:
			return
		default:
		}
		label, err := l.set.Read(int(id), b.Images[k*l.imageLen:(k+1)*l.imageLen])
		if err != nil {
			b.err = fmt.Errorf("loader: image %d: %w", id, err)
			return
		}
		b.Labels[k] = label
	}
}

// Next returns the next batch, waiting for it if necessary. At the end of the epoch it returns
// io.EOF until the next Start. If an image can't be read, Next returns an error and the
// image's batch is dropped; the next call returns the batch after it. After Close it returns
// ErrClosed.
//
// It panics if all of the loader's batches are held, because it would wait for ever.
func (l *Loader) Next() (*Batch, error) {
	if l.isClosed() {
		return nil, ErrClosed
	}
	if l.step == l.steps {
		return nil, io.EOF
	}
	if l.held == len(l.ready) {
		panic(fmt.Sprintf("data: Loader.Next: all %d batches are held, Release one", l.held))
	}
	var b *Batch
	select {
	case b = <-l.ready[l.sequence%len(l.ready)]:
	case <-l.closed:
		return nil, ErrClosed
	}
	if l.isClosed() { // b may have been broken off
		return nil, ErrClosed
	}
	l.sequence++
	l.step++
	if b.err != nil {
		err := b.err
		l.free <- b
		return nil, err
	}
	b.held = true
	l.held++
	return b, nil
}

// Release returns a batch to the loader, to be filled again. It panics if the batch has already been released.
func (l *Loader) Release(b *Batch) {
	if !b.held {
		panic("data: Loader.Release: a batch that is not held")
	}
	b.held = false
	l.held--
	l.free <- b
}

// Close stops the workers and waits for them. It may be called more than once.
func (l *Loader) Close() {
	l.life.Lock()
	defer l.life.Unlock()
	if l.isClosed() {
		return
	}
	close(l.closed)
	l.endWorkers()
}

func (l *Loader) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}
