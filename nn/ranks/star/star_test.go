package star

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"trainer/cpu"
	"trainer/nn/device/devicetest"
	"trainer/nn/ranks"
)

// meet connects so many ranks of this process over the loopback. wrap, unless nil, replaces a rank's connections.
func meet(t *testing.T, size int, wrap func(rank int, conn net.Conn) net.Conn) []*Transport {
	t.Helper()
	r := Rendezvous{Address: freeAddress(t), Token: known("secret"), Size: size, Wait: time.Minute}
	all := make([]*Transport, size)
	var running sync.WaitGroup
	for rank := range size {
		mine := r
		mine.Rank = rank
		running.Go(func() {
			conns, err := mine.Meet(t.Context())
			for i, conn := range conns {
				if wrap != nil && conn != nil {
					conns[i] = wrap(rank, conn)
				}
			}
			if err == nil {
				all[rank], err = New(rank, size, conns, Options{Name: "star"})
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
	if conn, err := net.Dial("tcp", r.Address); err == nil {
		conn.Close()
		t.Error("something listens after all ranks have come")
	}
	return all
}

// known returns a token that a rank knows from the start.
func known(token string) func() (string, error) { return func() (string, error) { return token, nil } }

// freeAddress returns an address of the loopback at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestStar(t *testing.T) {
	devicetest.RunCollective(t, func(t *testing.T, size int) (list []devicetest.CollectiveRank) {
		for _, transport := range meet(t, size, nil) {
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
			all := meet(t, 3, func(rank int, conn net.Conn) net.Conn {
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

// TestFailures: every rank learns which rank failed and why, and exactly one that is left is to tell the user.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		failing int
		fail    func(*Transport)
		want    string
		tells   int
	}{
		"an error of rank 1":         {1, func(f *Transport) { f.Abort("no space left") }, "no space left", 1},
		"the process of rank 2 ends": {2, func(f *Transport) { f.links[0].conn.Close() }, "its process has ended", 0},
		"the process of rank 0 ends": {0, func(f *Transport) {
			f.closing.Store(true) // so that it does not tell of the connections that it has closed itself
			for _, l := range f.peers() {
				l.conn.Close()
			}
		}, "its process has ended", 1},
	} {
		t.Run(name, func(t *testing.T) {
			all := meet(t, 3, nil)
			c.fail(all[c.failing])
			for rank, transport := range all {
				if rank == c.failing && name != "an error of rank 1" {
					continue
				}
				nothing := make([][]byte, 3)
				err := transport.Exchange(nothing, nothing)
				e, ok := errors.AsType[*ranks.RankError](err)
				if !ok || e.Rank != c.failing || !strings.Contains(e.Reason, c.want) || e.Told == (rank == c.tells) || e.Host != ranks.Host() {
					t.Errorf("rank %d: %+v, want rank %d, %q, told %v", rank, err, c.failing, c.want, rank != c.tells)
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

// TestStrangers: without the token no one joins, whether a rank or a process that isn't one, and ranks don't join one that
// doesn't know it.
func TestStrangers(t *testing.T) {
	r := Rendezvous{Address: freeAddress(t), Token: known("secret"), Size: 2, Wait: 2 * time.Second}
	var running sync.WaitGroup
	running.Go(func() {
		if _, err := r.Meet(t.Context()); err == nil || !strings.Contains(err.Error(), "rank 1 of 2 has not come") {
			t.Errorf("rank 0: %v", err)
		}
	})
	other := Rendezvous{Address: r.Address, Token: known("guess"), Rank: 1, Size: 2, Wait: time.Second}
	if _, err := other.Meet(t.Context()); err == nil || !strings.Contains(err.Error(), "it does not accept the token") {
		t.Errorf("with another token: %v", err)
	}
	running.Wait()
	if _, err := (Rendezvous{Address: r.Address, Token: known(""), Size: 2, Wait: time.Second}).Meet(context.Background()); err == nil {
		t.Error("ranks meet without a token")
	}
}
