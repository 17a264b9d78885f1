package train

import (
	"encoding/json"
	"fmt"
	"slices"

	"trainer/nn/device"
	"trainer/nn/optim"
)

// With Config.ZeroStage 1 each rank has the optimiser's states of a part of the parameters (optim.Partition), and a checkpoint,
// which rank 0 writes, has all of them: it continues at any number of ranks, with or without division. Rank 0 therefore collects
// the states of the others before it writes one. All ranks take part, so all must know when: after the steps and epochs that rank
// 0's Config.Checkpoint names, at the end of training, and after a step on which rank 0 has voted for it, because the time or a
// hook asks for a checkpoint.

// dividedState is what a rank knows of divided states.
type dividedState struct {
	saves   Checkpoint // of rank 0
	wanted  bool       // rank 0 waits for the states, to write a checkpoint
	at      int        // steps done when the states were last collected; -1 before
	entries []stateEntry
	values  []NamedValues        // of the whole states, on rank 0
	places  map[string][]float32 // the same by name
	own     []optim.Named
}

// stateEntry is a tensor of a rank.
type stateEntry struct {
	Rank  int    `json:"rank"`
	Name  string `json:"name"` // in a checkpoint
	From  int    `json:"from"` // index in the whole tensor
	Len   int    `json:"len"`
	Shape []int  `json:"shape"` // of the whole tensor
}

// divideState finds out which rank has which states. All ranks call it together, before the first step.
func (r *run) divideState() error {
	own := r.stepper.opt.Partitioned()
	if !r.stepper.divides() {
		return nil
	}
	d := &dividedState{at: -1, own: own}
	told := struct {
		Saves   Checkpoint
		Entries []stateEntry
	}{Saves: r.cfg.Checkpoint}
	for _, t := range own {
		told.Entries = append(told.Entries, stateEntry{r.group().Rank(), optimizerPrefix + t.Name, t.Piece.From, t.Tensor.Len(), t.Piece.Shape})
	}
	text, err := json.Marshal(told)
	if err != nil {
		return err
	}
	all, err := r.group().Gather(text)
	if err != nil {
		return err
	}
	for rank, text := range all {
		told.Entries = nil
		if err := json.Unmarshal(text, &told); err != nil {
			return fmt.Errorf("rank %d sent no list of its states: %w", rank, err)
		}
		if rank == 0 {
			d.saves = told.Saves
		}
		d.entries = append(d.entries, told.Entries...)
	}
	if !r.follows() && d.saves.Dir != "" {
		d.allocate()
	}
	r.divided = d
	return nil
}

// allocate makes room for the whole states.
func (d *dividedState) allocate() {
	d.places = map[string][]float32{}
	for _, e := range d.entries {
		if d.places[e.Name] != nil {
			continue
		}
		n := 1
		for _, size := range e.Shape {
			n *= size
		}
		d.places[e.Name] = make([]float32, n)
		d.values = append(d.values, NamedValues{Name: e.Name, Shape: e.Shape, Values: d.places[e.Name]})
	}
}

// collectStateIfDue collects the states if rank 0 may write a checkpoint after this step.
func (r *run) collectStateIfDue() error {
	d := r.divided
	if d == nil || d.saves.Dir == "" {
		return nil
	}
	if !r.atEnd() && !d.saves.due(r.stepper.step, 0) && r.group().all[voteForSave] == 0 {
		return nil
	}
	return r.collectState()
}

// collectState copies the states of all ranks to rank 0. All call it together.
func (r *run) collectState() error {
	d := r.divided
	if d == nil || d.saves.Dir == "" || d.at == r.stepper.step {
		return nil
	}
	if err := r.finishSave(); err != nil { // it has the values
		return err
	}
	next := 0
	for _, e := range d.entries {
		var own *device.Tensor
		if e.Rank == r.group().Rank() {
			own = d.own[next].Tensor
			next++
		}
		if err := r.collectEntry(e, own); err != nil {
			return err
		}
	}
	d.at, d.wanted = r.stepper.step, false
	return nil
}

// collectedElements is the largest number of elements that are sent at once, unless the device can't cut tensors.
const collectedElements = 1 << 20

// collectEntry copies a tensor of a rank to rank 0; own is the tensor on that rank, and nil on others.
func (r *run) collectEntry(e stateEntry, own *device.Tensor) error {
	slicer, cuts := r.stepper.dev.(device.Slicer)
	most := e.Len
	if cuts {
		most = min(most, collectedElements)
	}
	values := make([]float32, most)
	for from := 0; from < e.Len; from += most {
		part := values[:min(most, e.Len-from)]
		if own != nil {
			piece := own
			if cuts {
				piece = slicer.Slice(own.View(e.Len), from, len(part))
			}
			if err := r.stepper.dev.Download(device.Bytes(part), piece); err != nil {
				return err
			}
		}
		if e.Rank > 0 {
			if err := r.group().Broadcast(device.Bytes(part), e.Rank); err != nil {
				return err
			}
		}
		if places := r.divided.places; places != nil {
			copy(places[e.Name][e.From+from:], part)
		}
	}
	return nil
}

// savable reports whether a checkpoint can be written after this step. If the states of other ranks are missing, it asks for
// them.
func (r *run) savable() bool {
	d := r.divided
	if d == nil || d.at == r.stepper.step {
		return true
	}
	d.wanted = true
	return false
}

// divides reports whether the optimiser's states are divided over ranks.
func (s *Stepper) divides() bool { return s.cfg.ZeroStage > 0 && s.group != nil }

// wholeTensors returns the tensors that this rank has whole.
func wholeTensors(list []optim.Named) []optim.Named {
	return slices.DeleteFunc(list, func(t optim.Named) bool { return t.Piece != nil })
}
