package nn

import (
	"fmt"

	"trainer/nn/device"
)

// A training with another seed needs no other network: only initial weights and the masks of dropout depend on the seed.

// restart is what Network.Restart needs to know of a network.
type restart struct {
	initial  []func(seed uint64) error // upload the initial values of a parameter or state
	seeded   []device.Dropout
	usesSeed bool // a layer has asked for the seed, and may have computed anything from it
}

// Restart gives the network the state in which Compile leaves one with another seed: the initialisers' weights, running
// statistics, loss scale and frozen layers. Plans and buffers stay, and work that was recorded before is still valid. A network of
// ForInput restarts after the network that has its parameters.
//
// Layers must keep nothing from step to step but parameters and states. If one of them uses Builder.Seed, the error is a
// device.ErrNotSupported, and the network is unchanged.
func (n *Network) Restart(seed uint64) error {
	if !n.Restarts() {
		return fmt.Errorf("restarting the network: a layer uses the seed: %w", device.ErrNotSupported)
	}
	for _, upload := range n.restart.initial {
		if err := upload(seed); err != nil {
			return err
		}
	}
	for _, d := range n.restart.seeded {
		d.Reseed(seed)
	}
	n.opt.Seed = seed
	for _, p := range n.params {
		if p.GradSum != nil {
			n.dev.Zero(p.GradSum)
		}
	}
	if n.freeze != nil && n.freeze.thaws {
		n.SetFrozen(true)
	}
	if root, ok := n.root.(*sequential); ok {
		root.ended = 0
		root.endBackward()
	}
	n.dev.Zero(n.stats)
	return n.mixed.restart(n.dev)
}

// Restarts reports whether Restart can work.
func (n *Network) Restarts() bool { return !n.restart.usesSeed }
