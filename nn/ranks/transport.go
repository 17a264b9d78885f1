package ranks

import "fmt"

// Transport moves bytes between the ranks. Its methods are called from one goroutine at a time.
type Transport interface {
	// Name describes the transport to users, such as "Open MPI 4.1.4".
	Name() string
	// Rank returns the number of this process, from 0, and Size the number of all.
	Rank() int
	Size() int
	// Exchange sends send[p] to every other rank p, and receives recv[p] from it; the elements of this rank are ignored.
	// All ranks call it together, with matching lengths, any of which may be 0. If a rank has ended or doesn't answer, the
	// error is a *RankError. Exchange allocates nothing.
	Exchange(send, recv [][]byte) error
	// Abort ends the communication of all ranks, because of an error of this one. Other ranks' calls return an error, or
	// their processes end.
	Abort(reason string)
	// Close waits until all ranks call it, and releases the transport.
	Close() error
}

// Monitored is a Transport that learns of another rank's failure also between exchanges, so that what waits for the rank
// elsewhere, such as a GPU, can be ended.
type Monitored interface {
	Transport
	// Failed is closed once a rank is known to have failed. Failure returns its error from then on.
	Failed() <-chan struct{}
	Failure() *RankError
}

// RankError says which rank failed, on which machine, and why.
type RankError struct {
	Rank   int
	Host   string // "" if it is not known
	Reason string
	Told   bool // another rank tells the user of it
}

func (e *RankError) Error() string {
	if e.Host == "" {
		return fmt.Sprintf("rank %d: %s", e.Rank, e.Reason)
	}
	return fmt.Sprintf("rank %d on %s: %s", e.Rank, e.Host, e.Reason)
}
