package optim

import (
	"cmp"
	"fmt"
	"slices"

	"trainer/nn"
	"trainer/nn/device"
)

// Partition divides the optimiser's work and states over ranks that have the same weights and gradients: stage 1 of ZeRO
// (Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models", SC 2020, section 5.1). Each rank
// keeps the states of its pieces of the parameters, updates these pieces, and sends them to the others:
//
//	state     1/ranks of a single process's
//	sent      besides the gradients' sums, the weights once per step: 1.5 times as much in all
//
// An update rule that treats every element by itself (ElementwiseRule) computes the same bits for a piece as for the whole
// parameter, so that the number of ranks changes nothing. The parameters of other rules, such as LARS, which needs the norm of a
// whole parameter, belong to one rank each. Averages of the weights are not divided: every rank computes them from all
// weights.
type Partition struct {
	Ranks device.Collective
}

// ElementwiseRule is a rule that computes every element of a parameter from the same element of its gradient and states alone.
type ElementwiseRule interface {
	Rule
	// Elementwise does nothing: it marks the rule.
	Elementwise()
}

// Piece says which part of a tensor another tensor is.
type Piece struct {
	From  int   // index of the first element
	Shape []int // of the whole tensor
}

// piece is a part of a parameter that a rank updates.
type piece struct {
	param, rank, from, n int
}

// partition is the division of an optimiser's parameters.
type partition struct {
	ranks  device.Collective
	pieces []piece
	gather device.AllGather
	of     map[*nn.Param]Piece // of this rank's pieces
	own    []Named             // states of this rank's pieces
}

// piecesOf divides parameters over ranks so that each has about the same number of elements. Those that can't be cut go first,
// the largest to the rank that has the least; the others fill up each rank to its share, in order.
func piecesOf(params []*nn.Param, elementwise func(param int) bool, ranks int) (pieces []piece) {
	load, total := make([]int, ranks), 0
	var whole, rest []int
	for i, p := range params {
		total += p.Value.Len()
		if elementwise(i) {
			rest = append(rest, i)
		} else {
			whole = append(whole, i)
		}
	}
	slices.SortStableFunc(whole, func(a, b int) int { return cmp.Compare(params[b].Value.Len(), params[a].Value.Len()) })
	for _, i := range whole {
		rank := slices.Index(load, slices.Min(load))
		n := params[i].Value.Len()
		pieces = append(pieces, piece{i, rank, 0, n})
		load[rank] += n
	}
	share, rank := (total+ranks-1)/ranks, 0
	for _, i := range rest {
		for from, n := 0, params[i].Value.Len(); from < n; {
			for rank < ranks-1 && load[rank] >= share {
				rank++
			}
			size := n - from
			if rank < ranks-1 {
				size = min(size, roundUp(share-load[rank]))
			}
			pieces = append(pieces, piece{i, rank, from, size})
			load[rank] += size
			from += size
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int {
		return cmp.Or(cmp.Compare(a.param, b.param), cmp.Compare(a.from, b.from))
	})
	return pieces
}

// roundUp returns the multiple of the slices' alignment at or above n.
func roundUp(n int) int {
	return (n + device.SliceAlignment - 1) / device.SliceAlignment * device.SliceAlignment
}

// divide returns this rank's pieces of the parameters as parameters of their own, with the index of each one's parameter. ruleOf
// returns the rule of a parameter.
func (o *Optimizer) divide(params []*nn.Param, ruleOf func(param int) Rule) (pieces []*nn.Param, of []int, err error) {
	c := o.cfg.Partition.Ranks
	_, cuts := o.dev.(device.Slicer)
	o.part = &partition{ranks: c, of: map[*nn.Param]Piece{}}
	o.part.pieces = piecesOf(params, func(i int) bool {
		_, elementwise := ruleOf(i).(ElementwiseRule)
		return elementwise && cuts
	}, c.Size())
	all := make([][]*device.Tensor, c.Size())
	o.largest = 0
	for _, x := range o.part.pieces {
		p := params[x.param]
		value := o.slice(p.Value, x)
		all[x.rank] = append(all[x.rank], value)
		if x.rank != c.Rank() {
			continue
		}
		own := *p
		own.Value, own.Grad, own.GradSum = value, o.slice(p.StepGrad(), x), nil
		own.ComputeCopy, own.LowPrecisionGrad = own.Value, own.Grad
		pieces, of = append(pieces, &own), append(of, x.param)
		o.part.of[&own] = Piece{x.from, p.Value.Shape()}
		o.largest = max(o.largest, x.n)
	}
	o.part.gather, err = c.NewAllGather(device.AllGatherSpec{Tensors: all})
	return pieces, of, err
}

// slice returns a piece of a parameter's tensor: the tensor itself if the piece is all of it.
func (o *Optimizer) slice(t *device.Tensor, x piece) *device.Tensor {
	if x.n == t.Len() {
		return t
	}
	return o.dev.(device.Slicer).Slice(t, x.from, x.n)
}

// Share sends the weights that this rank has updated to the other ranks, and receives theirs. It follows Update; without a
// Partition it does nothing.
func (o *Optimizer) Share() error {
	if o.part == nil {
		return nil
	}
	if err := o.part.gather.Run(); err != nil {
		return fmt.Errorf("optimizer: weights of other ranks: %w", err)
	}
	return nil
}

// Partitioned returns the tensors of Tensors that no other rank has; nil without a Partition.
func (o *Optimizer) Partitioned() []Named {
	if o.part == nil {
		return nil
	}
	return o.part.own
}
