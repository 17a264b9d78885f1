package train

import (
	"errors"
	"fmt"

	"trainer/nn"
	"trainer/nn/device"
)

// statistics fetches what a network's loss sums up on the device, without holding the device up:
//
//	request: queue the copy of Stats to the host, queue Stats = 0
//	take:    wait for the oldest copy
//
// Copies arrive in the order of their requests, and together have every step once. At most maxRequests are under way: who
// wants another one takes the oldest first, which limits how far the host runs ahead of the device.
type statistics struct {
	net     *nn.Network
	fetches [maxRequests]device.Fetch
	through [maxRequests]int // steps that were done when the fetch was requested
	oldest  int              // of the fetches under way
	pending int              // fetches under way

	requested int // steps done at the last request
	taken     int // steps done at the last take
	host      [device.StatsLen]float32
}

const maxRequests = 2

// sums are those of the steps first to last, counted from 1.
type sums struct {
	loss           float64
	correct, count int
	first, last    int
}

// newStatistics begins after step steps.
func newStatistics(net *nn.Network, step int) (*statistics, error) {
	s := &statistics{net: net, requested: step, taken: step}
	for i := range s.fetches {
		f, err := newFetch(net.Device(), len(device.Bytes(s.host[:])))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("statistics: %w", err), s.close())
		}
		s.fetches[i] = f
	}
	return s, nil
}

// full reports whether there can be no further request before a take.
func (s *statistics) full() bool { return s.pending == maxRequests }

// request asks for the sums of the steps since the last request; step is the steps done now.
func (s *statistics) request(step int) {
	i := (s.oldest + s.pending) % maxRequests
	s.fetches[i].Queue(s.net.Stats())
	s.net.Device().Zero(s.net.Stats())
	s.through[i], s.requested = step, step
	s.pending++
}

// ready reports whether take returns at once.
func (s *statistics) ready() bool { return s.pending > 0 && s.fetches[s.oldest].Ready() }

// take waits for the oldest request.
func (s *statistics) take() (sums, error) {
	i := s.oldest
	s.oldest = (s.oldest + 1) % maxRequests
	s.pending--
	first := s.taken + 1
	s.taken = s.through[i]
	if err := s.fetches[i].Wait(device.Bytes(s.host[:])); err != nil {
		return sums{}, fmt.Errorf("fetching the loss: %w", err)
	}
	return sumsOf(s.host, first, s.taken), nil
}

func sumsOf(stats [device.StatsLen]float32, first, last int) sums {
	return sums{
		loss: float64(stats[device.StatLoss]), correct: int(stats[device.StatCorrect]), count: int(stats[device.StatCount]),
		first: first, last: last,
	}
}

// close releases the fetches.
func (s *statistics) close() error {
	var all []error
	for _, f := range s.fetches {
		if f != nil {
			all = append(all, f.Close())
		}
	}
	return errors.Join(all...)
}
