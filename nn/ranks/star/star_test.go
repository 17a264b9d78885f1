package star

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn/device/devicetest"
	"trainer/nn/ranks"
)

// wrapper replaces the connection of a rank with another one.
type wrapper func(rank, peer int, conn net.Conn) net.Conn

// meet connects so many ranks of this process over the loopback. wrap may be nil.
func meet(t *testing.T, size int, o Options, wrap wrapper) []*Transport {
	t.Helper()
	all := make([]*Transport, size)
	together(t, size, func(rank int, conns []net.Conn) (err error) {
		for peer, conn := range conns {
			if wrap != nil && conn != nil {
				conns[peer] = wrap(rank, peer, conn)
			}
		}
		all[rank], err = New(rank, size, conns, o)
		return err
	})
	t.Cleanup(func() {
		for _, transport := range all {
			transport.closeAll()
		}
	})
	return all
}

// together lets so many ranks meet, and calls f with the connections of each.
func together(t *testing.T, size int, f func(rank int, conns []net.Conn) error) {
	t.Helper()
	r := rendezvous(t, size)
	var running sync.WaitGroup
	for rank := range size {
		mine := r
		mine.Rank = rank
		running.Go(func() {
			conns, err := mine.Meet(t.Context())
			if err == nil {
				err = f(rank, conns)
			}
			if err != nil {
				t.Errorf("rank %d: %v", rank, err)
			}
		})
	}
	running.Wait()
	if t.Failed() {
		t.FailNow()
	}
	if _, err := r.listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after all ranks have come: %v, want a listener that is closed", err)
	}
}

// rendezvous returns one at an address of the loopback, for rank 0.
func rendezvous(t *testing.T, size int) Rendezvous {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return Rendezvous{Address: l.Addr().String(), Token: known("secret"), Size: size, Wait: time.Minute, listener: l}
}

// known returns a token that a rank knows from the start.
func known(token string) func() (string, error) { return func() (string, error) { return token, nil } }

func TestStar(t *testing.T) {
	devicetest.RunCollective(t, func(t *testing.T, size int) (list []devicetest.CollectiveRank) {
		for _, transport := range meet(t, size, Options{}, nil) {
			dev, err := cpu.New(cpu.WithThreads(1))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { dev.Close() })
			list = append(list, devicetest.CollectiveRank{Collective: ranks.New(transport, dev), Device: dev, Abort: transport.Abort})
		}
		return list
	})
}

// TestClose: all ranks that leave together end without an error, even if what one sends to another by way of rank 0 comes after
// what it sends to rank 0.
func TestClose(t *testing.T) {
	for _, delay := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(delay.String(), func(t *testing.T) {
			all := meet(t, 3, Options{}, func(rank, _ int, conn net.Conn) net.Conn {
				if rank == 1 {
					return slow{conn.(*net.TCPConn), delay}
				}
				return conn
			})
			var running sync.WaitGroup
			for rank, transport := range all {
				running.Go(func() {
					if err := transport.Close(); err != nil {
						t.Errorf("rank %d: %v", rank, err)
					}
				})
			}
			running.Wait()
		})
	}
}

// slow is a connection on which each message waits.
type slow struct {
	*net.TCPConn
	delay time.Duration
}

func (s slow) Write(b []byte) (int, error) {
	time.Sleep(s.delay)
	return s.TCPConn.Write(b)
}

// TestFailures: every rank learns which rank failed and why, and whether another one tells the user.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		failing int
		fail    func(*Transport)
		want    string
		tell    []int // the ranks that have not learned it from another
	}{
		"an error of rank 1":         {1, func(f *Transport) { f.Abort("no space left") }, "no space left", []int{1}},
		"the process of rank 2 ends": {2, func(f *Transport) { f.links[0].conn.Close() }, "its process has ended", []int{0}},
		"the process of rank 0 ends": {0, func(f *Transport) {
			f.closing.Store(true) // so that it does not tell of the connections that it has closed itself
			f.closeAll()
		}, "its process has ended", []int{1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			all := meet(t, 3, Options{}, nil)
			c.fail(all[c.failing])
			for rank, transport := range all {
				if rank == c.failing && name != "an error of rank 1" {
					continue
				}
				nothing := make([][]byte, 3)
				err := transport.Exchange(nothing, nothing)
				e, ok := errors.AsType[*ranks.RankError](err)
				tells := slices.Contains(c.tell, rank)
				if !ok || e.Rank != c.failing || !strings.Contains(e.Reason, c.want) || e.Told == tells || e.Host != ranks.Host() {
					t.Errorf("rank %d: %+v, want rank %d, %q, told %v", rank, err, c.failing, c.want, !tells)
				}
				select {
				case <-transport.Failed():
				default:
					t.Errorf("rank %d does not know of the failure", rank)
				}
			}
		})
	}
}

// TestTellsFirst: a rank that knows of a failure, and may end because of it, has passed it on.
func TestTellsFirst(t *testing.T) {
	var told atomic.Bool
	all := meet(t, 3, Options{}, func(rank, peer int, conn net.Conn) net.Conn {
		if rank == 0 && peer == 2 {
			return &lateAbort{conn, &told}
		}
		return conn
	})
	all[1].Abort("no space left")
	<-all[0].Failed()
	if !told.Load() {
		t.Error("rank 0 knows of rank 1's failure before it has told rank 2")
	}
}

// lateAbort is a connection on which the news of a failure waits.
type lateAbort struct {
	net.Conn
	told *atomic.Bool
}

func (c *lateAbort) Write(b []byte) (int, error) {
	if len(b) == headerBytes && b[0] == abort {
		time.Sleep(100 * time.Millisecond)
		c.told.Store(true)
	}
	return c.Conn.Write(b)
}

// TestHang: a rank that stops reading, so that nothing can be sent to it, is named, and not one whose messages to it are stuck. What
// others are sending to it ends.
func TestHang(t *testing.T) {
	o := Options{signEvery: 50 * time.Millisecond, maxSilence: 2 * time.Second}
	together(t, 3, func(rank int, conns []net.Conn) error {
		if rank == 2 { // no more than its name
			l := link{conn: conns[0], now: func() int64 { return 0 }}
			t.Cleanup(func() { conns[0].Close() })
			return l.greet()
		}
		transport, err := New(rank, 3, conns, o)
		if err != nil {
			return err
		}
		t.Cleanup(transport.closeAll)
		large := make([][]byte, 3)
		large[2] = make([]byte, 32<<20) // more than the system keeps for a connection
		err = transport.Exchange(large, make([][]byte, 3))
		if e, ok := errors.AsType[*ranks.RankError](err); !ok || e.Rank != 2 || e.Reason != "no sign of life for 2 s" {
			return fmt.Errorf("%w, want that rank 2 gives no sign of life", err)
		}
		return nil
	})
}

// TestLargeMessage: what has come of a message is a sign of life, before the rest has.
func TestLargeMessage(t *testing.T) {
	own, its := net.Pipe()
	defer own.Close()
	defer its.Close()
	clock := int64(0)
	l := link{conn: own, now: func() int64 { clock++; return clock }}
	read := make(chan error, 1)
	go func() { _, _, err := l.read(); read <- err }()
	write := func(n int) {
		if _, err := its.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
	header := [headerBytes]byte{data, 12: 100}
	if _, err := its.Write(header[:]); err != nil {
		t.Fatal(err)
	}
	write(50)
	write(25) // the first half has been read
	if n := l.heard.Load(); n < 2 {
		t.Errorf("%d signs of life, want one for each piece", n)
	}
	write(25)
	if err := <-read; err != nil {
		t.Error(err)
	}
}

// TestStopped: a process that did not run for a while does not take its own absence for the silence of others.
func TestStopped(t *testing.T) {
	transport := &Transport{options: Options{signEvery: time.Second, maxSilence: 20 * time.Second}, links: []*link{nil, {peer: 1}, {peer: 2}}}
	transport.links[2].heard.Store(int64(3 * time.Second))
	if l := transport.silent(int64(20 * time.Second)); l != nil {
		t.Errorf("rank %d is silent, want none", l.peer)
	}
	if l := transport.silent(int64(30 * time.Second)); l == nil || l.peer != 1 {
		t.Errorf("%+v is silent, want rank 1, for the longest time", l)
	}
	transport.forgive(15 * time.Second)
	if l := transport.silent(int64(30 * time.Second)); l != nil {
		t.Errorf("rank %d is silent after a stop of this process, want none", l.peer)
	}
	transport.links[1].over.Store(true)
	transport.links[2].over.Store(true)
	if l := transport.silent(int64(time.Hour)); l != nil {
		t.Errorf("rank %d is silent after its last message", l.peer)
	}
}

// TestNewFails: a connection with something else is closed.
func TestNewFails(t *testing.T) {
	own, its := net.Pipe()
	defer its.Close()
	go func() {
		wrong := link{conn: its}
		_ = wrong.write(frame{kind: life}, nil)
	}()
	go io.Copy(io.Discard, its)
	if _, err := New(1, 2, []net.Conn{own}, Options{}); err == nil || !strings.Contains(err.Error(), "rank 0: it can't be reached: it does not give the name of its machine") {
		t.Errorf("%v, want that rank 0 can't be reached", err)
	}
	if _, err := own.Write([]byte{1}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v, want a closed connection", err)
	}
}

// TestMeetTogether: ranks have met when the last one has come. If it doesn't, all that have come learn it.
func TestMeetTogether(t *testing.T) {
	r := rendezvous(t, 3)
	var lastComes atomic.Bool
	var running sync.WaitGroup
	for rank := range 3 {
		mine := r
		mine.Rank = rank
		running.Go(func() {
			if rank == 2 {
				time.Sleep(200 * time.Millisecond) // in which the others would come back without it
				lastComes.Store(true)
			}
			conns, err := mine.Meet(t.Context())
			if err != nil || !lastComes.Load() {
				t.Errorf("rank %d has met all before rank 2 came: %v", rank, err)
			}
			for _, conn := range conns {
				if conn != nil {
					conn.Close()
				}
			}
		})
	}
	running.Wait()

	r = rendezvous(t, 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	running.Go(func() {
		if _, err := r.Meet(ctx); err == nil || !strings.Contains(err.Error(), "of 3 has not come to "+r.Address) {
			t.Errorf("rank 0: %v, want that a rank has not come", err)
		}
	})
	one := r
	one.Rank = 1
	conn, err := one.tryJoin(t.Context())
	cancel()
	if err == nil {
		_, err = one.awaitAll(t.Context(), conn)
	}
	if err == nil || !strings.Contains(err.Error(), "has closed the connection before all ranks had come") {
		t.Errorf("rank 1: %v, want that rank 0 has left", err)
	}
	running.Wait()
}

// TestStrangers: without the token no one joins, whether a rank or a process that isn't one, and ranks don't join one that
// doesn't know it. A stranger that says nothing delays no one.
func TestStrangers(t *testing.T) {
	r := rendezvous(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := r.Meet(ctx); err == nil || !strings.Contains(err.Error(), "rank 1 of 2 has not come") {
			t.Errorf("rank 0: %v", err)
		}
	})
	silent, err := net.Dial("tcp", r.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	other := Rendezvous{Address: r.Address, Token: known("guess"), Rank: 1, Size: 2}
	if _, err := other.tryJoin(t.Context()); err == nil || !strings.Contains(err.Error(), "it does not accept the token") {
		t.Errorf("with another token: %v", err)
	}
	cancel()
	running.Wait()
	if _, err := (Rendezvous{Address: r.Address, Token: known(""), Size: 2, Wait: time.Second}).Meet(t.Context()); err == nil {
		t.Error("ranks meet without a token")
	}
}
