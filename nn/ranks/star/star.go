package star

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"trainer/nn/ranks"
)

const (
	signEvery  = 2 * time.Second
	maxSilence = 20 * time.Second
	lagAfter   = 10 * time.Second
	maxClosing = 20 * time.Second
	maxTelling = time.Second
)

// Options are how a Transport treats its user.
type Options struct {
	Name string // what connects the ranks, for users
	// Lags, unless nil, is told of a rank for which this one has waited for 10 s, once per exchange.
	Lags func(*ranks.RankError)
	// Ended, unless nil, says why the process of a rank has ended, whose connection has; "" if it is not known.
	Ended func(rank int) string

	signEvery, maxSilence time.Duration // 0: the constants
}

// Transport is a ranks.Transport, and a ranks.Monitored.
//
// Who has failed, and why, is final once Failed is closed. By then the other ranks have been told, so that a rank that ends because
// of it leaves no one behind without a reason.
//
// Messages between two ranks other than 0 go by way of rank 0. Every rank sends to rank 0 last: a rank 0 that has everything that was
// sent to it has passed on everything else, and may end.
type Transport struct {
	rank, size int
	options    Options
	links      []*link // by rank; rank 0 has one for every other, they have one for rank 0
	inbox      []*queue
	progress   atomic.Pointer[func() uint64]
	started    time.Time

	once    sync.Once
	failed  chan struct{} // closed when failure is known, and has been told
	failure *ranks.RankError
	closing atomic.Bool
	readers sync.WaitGroup
	stop    chan struct{}
}

// link is the connection with another rank.
type link struct {
	conn   net.Conn
	peer   int
	host   string
	mutex  sync.Mutex    // of writes
	now    func() int64  // nanoseconds since the transport was started: no one sets this clock
	heard  atomic.Int64  // when something came last
	sums   atomic.Uint64 // of the peer: see SetProgress
	over   atomic.Bool   // the peer has sent its last frame
	header [headerBytes]byte
}

// New returns the transport of a rank. conns are the connections of rank 0 with the others, by rank, the first being nil; or
// that of another rank with rank 0. New exchanges the names of the machines. It closes the connections if it fails.
func New(rank, size int, conns []net.Conn, o Options) (*Transport, error) {
	o.signEvery, o.maxSilence = cmp.Or(o.signEvery, signEvery), cmp.Or(o.maxSilence, maxSilence)
	t := &Transport{
		rank: rank, size: size, options: o, links: make([]*link, size), started: time.Now(), failed: make(chan struct{}), stop: make(chan struct{}),
	}
	for p := range size {
		t.inbox = append(t.inbox, newQueue())
		if p == rank || rank > 0 && p > 0 {
			continue
		}
		conn := conns[0]
		if rank == 0 {
			conn = conns[p]
		}
		t.links[p] = &link{conn: conn, peer: p, now: t.now}
	}
	for _, l := range t.peers() {
		if err := l.greet(); err != nil {
			t.closeAll()
			return nil, &ranks.RankError{Rank: l.peer, Reason: fmt.Sprintf("it can't be reached: %v", err)}
		}
	}
	for _, l := range t.peers() {
		l.heard.Store(t.now())
		t.readers.Go(func() { t.listen(l) })
	}
	go t.live()
	return t, nil
}

// now returns the nanoseconds since the transport was started.
func (t *Transport) now() int64 { return time.Since(t.started).Nanoseconds() }

// peers returns the links that there are.
func (t *Transport) peers() (list []*link) {
	for _, l := range t.links {
		if l != nil {
			list = append(list, l)
		}
	}
	return list
}

func (t *Transport) Name() string { return t.options.Name }
func (t *Transport) Rank() int    { return t.rank }
func (t *Transport) Size() int    { return t.size }

// route returns the link by which a rank is reached.
func (t *Transport) route(to int) *link {
	if t.rank == 0 {
		return t.links[to]
	}
	return t.links[0]
}

// Exchange sends and receives. It allocates memory for what it receives. Once a rank has failed, it does neither.
func (t *Transport) Exchange(send, recv [][]byte) error {
	if t.hasFailed() {
		return t.failure
	}
	for k := range t.size {
		p := t.size - 1 - k // rank 0 is last
		if p == t.rank {
			continue
		}
		if err := t.route(p).write(frame{kind: data, from: t.rank, to: p}, send[p]); err != nil {
			return t.lost(t.route(p), err)
		}
	}
	lag := time.NewTimer(lagAfter)
	defer lag.Stop()
	for p := range t.size {
		if p == t.rank {
			continue
		}
		x, err := t.take(p, lag.C)
		if err != nil {
			return err
		}
		if len(x) != len(recv[p]) {
			t.Abort(fmt.Sprintf("it expects %d bytes of rank %d, which sends %d", len(recv[p]), p, len(x)))
			return t.failure
		}
		copy(recv[p], x)
	}
	return nil
}

// hasFailed tells whether Failed is closed.
func (t *Transport) hasFailed() bool {
	select {
	case <-t.failed:
		return true
	default:
		return false
	}
}

// take returns what a rank has sent, and waits for it.
func (t *Transport) take(p int, lag <-chan time.Time) ([]byte, error) {
	for {
		if t.hasFailed() {
			return nil, t.failure
		}
		if x, ok := t.inbox[p].pop(); ok {
			return x, nil
		}
		select {
		case <-t.inbox[p].filled:
		case <-t.failed:
			return nil, t.failure
		case <-lag:
			if t.options.Lags != nil {
				t.options.Lags(&ranks.RankError{Rank: p, Host: t.host(p), Reason: fmt.Sprintf("the others have waited for it for %.0f s", lagAfter.Seconds())})
			}
		}
	}
}

// host returns the name of a rank's machine; "" if only rank 0 knows it.
func (t *Transport) host(p int) string {
	switch {
	case p == t.rank:
		return ranks.Host()
	case t.links[p] == nil:
		return ""
	}
	return t.links[p].host
}

// Abort ends the communication of all ranks: their calls return an error, which says that this rank has told the reason.
func (t *Transport) Abort(reason string) {
	t.fail(&ranks.RankError{Rank: t.rank, Host: ranks.Host(), Reason: reason}, nil)
}

// fail makes an error final, unless there is one, and passes it on to all ranks but the one that it came from. What is being written
// ends within maxTelling, too.
func (t *Transport) fail(e *ranks.RankError, from *link) {
	t.once.Do(func() {
		var telling sync.WaitGroup
		for _, l := range t.peers() {
			_ = l.conn.SetWriteDeadline(time.Now().Add(maxTelling))
			if l != from {
				telling.Go(func() {
					_ = l.write(frame{kind: abort, from: e.Rank}, abortText(e)) // a rank that is gone can't be told
				})
			}
		}
		telling.Wait()
		t.failure = e
		close(t.failed)
	})
}

// lost returns the error for a connection that has ended.
func (t *Transport) lost(l *link, err error) *ranks.RankError {
	reason := "its process has ended"
	if t.options.Ended != nil {
		reason = cmp.Or(t.options.Ended(l.peer), reason)
	}
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		reason = "it can't be reached: " + err.Error()
	}
	t.fail(&ranks.RankError{Rank: l.peer, Host: l.host, Reason: reason}, l)
	return t.failure
}

// Failed is closed once a rank is known to have failed, whose error Failure then returns.
func (t *Transport) Failed() <-chan struct{} { return t.failed }

// Failure returns the error of the rank that has failed, after Failed was closed.
func (t *Transport) Failure() *ranks.RankError { return t.failure }

// SetProgress makes the signs of life tell the other ranks how many sums this rank has queued.
func (t *Transport) SetProgress(sums func() uint64) { t.progress.Store(&sums) }

// Behind returns a rank that has queued fewer sums than this one, as far as this one knows: rank 0 knows of all, the others of rank
// 0.
func (t *Transport) Behind(sums uint64) *ranks.RankError {
	for _, l := range t.peers() {
		if l.sums.Load() < sums {
			return &ranks.RankError{Rank: l.peer, Host: l.host}
		}
	}
	return nil
}

// listen takes what comes by a link.
func (t *Transport) listen(l *link) {
	for {
		f, x, err := l.read()
		if err != nil {
			if !l.over.Load() && !t.closing.Load() {
				t.lost(l, err)
			}
			return
		}
		switch f.kind {
		case data:
			if f.from < 0 || f.from >= t.size || f.to < 0 || f.to >= t.size || t.rank == 0 && f.from != l.peer {
				t.fail(&ranks.RankError{Rank: l.peer, Host: l.host, Reason: "it sends what is no message"}, nil)
				return
			}
			t.deliver(f, x)
		case life:
			l.sums.Store(binary.LittleEndian.Uint64(append(x, make([]byte, 8)...)))
		case abort:
			t.learn(l, f.from, x)
		case last:
			l.over.Store(true)
		}
	}
}

// deliver passes on a message.
func (t *Transport) deliver(f frame, x []byte) {
	if f.to == t.rank {
		t.inbox[f.from].push(x)
		return
	}
	if to := t.links[f.to]; to != nil {
		if err := to.write(f, x); err != nil {
			t.lost(to, err)
		}
	}
}

// live sends signs of life, and fails for a rank that sends none.
func (t *Transport) live() {
	ticker := time.NewTicker(t.options.signEvery)
	defer ticker.Stop()
	for last := t.now(); ; {
		select {
		case <-t.stop:
			return
		case <-t.failed:
			return
		case <-ticker.C:
		}
		now := t.now()
		t.forgive(time.Duration(now-last) - t.options.signEvery)
		last = now
		if l := t.silent(now); l != nil {
			reason := fmt.Sprintf("no sign of life for %.0f s", t.options.maxSilence.Seconds())
			t.fail(&ranks.RankError{Rank: l.peer, Host: l.host, Reason: reason}, l)
			return
		}
		var sums [8]byte
		if count := t.progress.Load(); count != nil {
			binary.LittleEndian.PutUint64(sums[:], (*count)())
		}
		for _, l := range t.peers() {
			go l.tryWrite(frame{kind: life, from: t.rank}, sums)
		}
	}
}

// forgive extends the time of all ranks by that for which this process did not run: what they have sent meanwhile has yet to be read.
func (t *Transport) forgive(late time.Duration) {
	if late < t.options.signEvery {
		return
	}
	for _, l := range t.peers() {
		l.heard.Add(int64(late))
	}
}

// silent returns the link that has been silent for longest, if that is too long. Others may seem silent because of it: what they send
// isn't read while something can't be passed on to it.
func (t *Transport) silent(now int64) (longest *link) {
	for _, l := range t.peers() {
		if !l.over.Load() && (longest == nil || l.heard.Load() < longest.heard.Load()) {
			longest = l
		}
	}
	if longest == nil || time.Duration(now-longest.heard.Load()) <= t.options.maxSilence {
		return nil
	}
	return longest
}

// Close waits until all ranks call it, and ends the connections.
func (t *Transport) Close() error {
	nothing := make([][]byte, t.size)
	if err := t.Exchange(nothing, nothing); err != nil {
		t.end()
		return err
	}
	for _, l := range t.peers() {
		if err := l.write(frame{kind: last, from: t.rank}, nil); err != nil {
			break // it has read what it needs, and gone
		}
	}
	t.end()
	return nil
}

// end closes the connections, once the other side has closed its own. After a failure there is nothing to wait for.
func (t *Transport) end() {
	t.closing.Store(true)
	close(t.stop)
	patience := maxClosing
	if t.hasFailed() {
		patience = maxTelling
	}
	for _, l := range t.peers() {
		if half, ok := l.conn.(interface{ CloseWrite() error }); ok && t.rank > 0 {
			_ = half.CloseWrite()
		}
		_ = l.conn.SetReadDeadline(time.Now().Add(patience))
	}
	t.readers.Wait()
	t.closeAll()
}

func (t *Transport) closeAll() {
	for _, l := range t.peers() {
		_ = l.conn.Close()
	}
}
