package train

import (
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// statistics fetches the sums that a network's loss accumulates on the device, without making the device wait:
//
//	begin:   Stats = the sums of the epoch so far
//	request: queue the copy of Stats to the host
//	take:    wait for the oldest copy
//
// Stats accumulates from an epoch's first step to its last, so the sums don't depend on when they are fetched: a run
// that was stopped and resumed ends with the same sums. Copies arrive in the order of their requests. The
// number of pending copies is limited: before another request the oldest copy must be taken, which limits how far the host
// runs ahead of the device.
type statistics struct {
	net     *nn.Network
	fetches []device.AsyncDownload
	through []int // steps done when the copy was requested
	oldest  int   // index of the oldest pending copy
	pending int   // number of pending copies

	requested int // steps done at the last request
	taken     int // steps done at the last take
	host      [device.StatsLen]float32
}

// maxRequests is the usual number of pending downloads.
const maxRequests = 2

// sums are the epoch's sums up to the step last, counted from 1; the steps from first on are not in the previous sums.
type sums struct {
	loss, weight   float64
	correct, count int
	first, last    int
}

// newStatistics returns statistics that begin after step steps, with at most the given number of pending copies.
func newStatistics(net *nn.Network, step, requests int) (*statistics, error) {
	s := &statistics{
		net: net, requested: step, taken: step,
		fetches: make([]device.AsyncDownload, requests), through: make([]int, requests),
	}
	for i := range s.fetches {
		f, err := newFetch(net.Device(), len(device.Bytes(s.host[:])))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("statistics: %w", err), s.close())
		}
		s.fetches[i] = f
	}
	return s, nil
}

// restart makes the statistics begin again after step steps. No copy may be pending.
func (s *statistics) restart(step int) { s.requested, s.taken = step, step }

// begin sets the sums on the device to the given sums of the epoch so far.
func (s *statistics) begin(epoch totals) error {
	sofar := [device.StatsLen]float32{
		device.StatLoss: float32(epoch.Loss), device.StatCorrect: float32(epoch.Correct), device.StatCount: float32(epoch.Count),
		device.StatWeight: float32(epoch.Weight),
	}
	if err := s.net.Device().Upload(s.net.Stats(), device.Bytes(sofar[:])); err != nil {
		return fmt.Errorf("statistics: %w", err)
	}
	return nil
}

// full reports whether no request is possible before the next take.
func (s *statistics) full() bool { return s.pending == len(s.fetches) }

// request requests the epoch's sums; step is the number of steps done so far.
func (s *statistics) request(step int) {
	i := (s.oldest + s.pending) % len(s.fetches)
	s.fetches[i].Queue(s.net.Stats())
	s.through[i], s.requested = step, step
	s.pending++
}

// ready reports whether take would return at once.
func (s *statistics) ready() bool { return s.pending > 0 && s.fetches[s.oldest].Ready() }

// take waits for the oldest request.
func (s *statistics) take() (sums, error) {
	i := s.oldest
	s.oldest = (s.oldest + 1) % len(s.fetches)
	s.pending--
	first := s.taken + 1
	s.taken = s.through[i]
	if err := s.fetches[i].Wait(device.Bytes(s.host[:])); err != nil {
		return sums{}, fmt.Errorf("downloading the loss: %w", err)
	}
	return sumsOf(s.host, first, s.taken), nil
}

func sumsOf(stats [device.StatsLen]float32, first, last int) sums {
	return sums{
		loss: float64(stats[device.StatLoss]), weight: float64(stats[device.StatWeight]), correct: int(stats[device.StatCorrect]), count: int(stats[device.StatCount]),
		first: first, last: last,
	}
}

// mean returns total/by, or 0 if by is 0.
func mean(total, by float64) float64 {
	if by == 0 {
		return 0
	}
	return total / by
}

// close releases the downloads.
func (s *statistics) close() error {
	var all []error
	for _, f := range s.fetches {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	return errors.Join(all...)
}
