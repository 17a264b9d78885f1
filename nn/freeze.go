package nn

import (
	"fmt"
	"path"
	"strings"
)

// freeze is the state of the layers that training doesn't change (Options.Freeze), for the whole training or until
// Network.SetFrozen ends it. A frozen parameter has no gradient, or with Options.Thaws a gradient of 0, and a frozen
// BatchNorm normalises by its running statistics. What precedes the first layer that is trained needs no backward pass. A
// nil *freeze stands for no frozen layers.
type freeze struct {
	patterns []string
	matched  []bool // by any layer
	thaws    bool
	on       bool

	inside  []bool // of the layers that are being built, innermost last: whether each is frozen
	trained bool   // a parameter that is not frozen has been built
}

// FreezeError reports a pattern of Options.Freeze that matches no layer.
type FreezeError struct {
	Pattern string
	Layers  []string // the full names of all layers; nil if the pattern is malformed
}

func (e *FreezeError) Error() string {
	if e.Layers == nil {
		return fmt.Sprintf("freeze: %q is not a pattern of names such as \"block*\"", e.Pattern)
	}
	return fmt.Sprintf("freeze: no layer is named %q (layers: %s)", e.Pattern, strings.Join(e.Layers, ", "))
}

func newFreeze(opt Options) *freeze {
	if len(opt.Freeze) == 0 || !opt.Training {
		return nil
	}
	return &freeze{patterns: opt.Freeze, matched: make([]bool, len(opt.Freeze)), thaws: opt.Thaws, on: true}
}

// enter begins a layer, and leave ends it.
func (f *freeze) enter(name string) {
	if f == nil {
		return
	}
	frozen := len(f.inside) > 0 && f.inside[len(f.inside)-1]
	for k, p := range f.patterns {
		if ok, _ := path.Match(p, name); ok {
			frozen, f.matched[k] = true, true
		}
	}
	f.inside = append(f.inside, frozen)
}

func (f *freeze) leave() {
	if f != nil {
		f.inside = f.inside[:len(f.inside)-1]
	}
}

// frozen reports whether the layer that is being built is frozen.
func (b *Builder) frozen() bool {
	f := b.freeze
	return f != nil && len(f.inside) > 0 && f.inside[len(f.inside)-1]
}

// trains notes a parameter with a gradient.
func (f *freeze) trains(p *Param) {
	if f != nil && !p.Thaws {
		f.trained = true
	}
}

// beforeTrained reports whether everything that has been built so far is frozen.
func (f *freeze) beforeTrained() bool { return f != nil && !f.trained }

// buildFreeze checks the patterns, and leaves out the backward pass of what precedes the first layer that is trained.
func (n *Network) buildFreeze(b *Builder) error {
	n.freeze = b.freeze
	if n.freeze == nil {
		return nil
	}
	for k, p := range n.freeze.patterns {
		if n.freeze.matched[k] {
			continue
		}
		e := &FreezeError{Pattern: p}
		if _, err := path.Match(p, ""); err == nil {
			e.Layers = []string{}
			for _, row := range b.rows {
				e.Layers = append(e.Layers, row.Name)
			}
		}
		return e
	}
	if n.freeze.thaws {
		n.SetFrozen(true)
	}
	return nil
}

// SetFrozen freezes or thaws the layers of Options.Freeze, which needs Options.Thaws. It changes the work of a step, so
// that a recorded step is no longer valid.
func (n *Network) SetFrozen(on bool) {
	if n.freeze == nil || !n.freeze.thaws {
		panic("network set frozen: the network was compiled without Freeze and Thaws")
	}
	n.freeze.on = on
	if root, ok := n.root.(*sequential); ok {
		root.isFrozen = on
		root.endBackward()
	}
}

// Frozen reports whether layers are frozen at present.
func (n *Network) Frozen() bool { return n.freeze != nil && n.freeze.on }

// dropFrozenGradients queues dw = 0 for the parameters of layers that are frozen at present, so that clipping and momentum
// don't see them.
func (n *Network) dropFrozenGradients() {
	if n.freeze == nil || !n.freeze.on || !n.freeze.thaws {
		return
	}
	for _, p := range n.params {
		if p.Thaws {
			n.dev.Zero(p.Grad)
		}
	}
}
