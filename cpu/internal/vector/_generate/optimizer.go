package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rule is one of the update rules over weights w with gradients grad.
type rule struct {
	*machine
	i       Register
	hyper   Register // the address of the Hyperparameters
	w, grad Register
	states  [2]Register
}

// column is the offset of a field in vector.Hyperparameters, a struct of float32s.
type column int

const (
	lr column = 4 * iota
	gradScale
	coupled
	keep
	momentum
	beta2
	newMomentum
	newBeta2
	correction2
	epsilon
)

// field returns a vector that repeats a field.
func (r *rule) field(f column) VecVirtual {
	v := r.vector()
	VBROADCASTSS(Mem{Base: r.hyper, Disp: int(f)}, v)
	return v
}

// update emits one rule. step gets the gradient g and returns the step, which is
// multiplied by LR and subtracted from w.
func update(m *machine, name, doc string, states int, step func(r *rule, g VecVirtual) VecVirtual) {
	signature := "w, grad, "
	parameters := []string{"first", "second"}[:states]
	for _, s := range parameters {
		signature += s + ", "
	}
	m.text(name, signature[:len(signature)-2]+" *float32, n int, hyper *float32", doc)
	r := &rule{machine: m, w: pointer("w"), grad: pointer("grad"), hyper: pointer("hyper")}
	for i, s := range parameters {
		r.states[i] = pointer(s)
	}
	n := pointer("n")
	scale, decay, kept, speed := r.field(gradScale), r.field(coupled), r.field(keep), r.field(lr)
	m.walk(n, false, func(i Register) {
		r.i = i
		w := m.load(element(r.w, i))
		g := m.mul(m.load(element(r.grad, i)), scale)
		VFMADD231PS(w, decay, g)
		next := m.mul(w, kept)
		VFNMADD231PS(step(r, g), speed, next)
		m.store(next, element(r.w, i))
	})
	m.end()
}

// average updates state i, and returns it: decay*state + x.
func (r *rule) average(i int, decay column, x VecVirtual) VecVirtual {
	at := element(r.states[i], r.i)
	v := r.load(at)
	VFMADD213PS(x, r.field(decay), v)
	r.store(v, at)
	return v
}

// squares updates state i, and returns it: beta2*state + (1-beta2) g^2.
func (r *rule) squares(i int, g VecVirtual) VecVirtual {
	return r.average(i, beta2, r.mul(r.mul(g, g), r.field(newBeta2)))
}

func optimizers(m *machine) {
	update(m, "SGD", "w = keep*w - LR*g.", 0, func(r *rule, g VecVirtual) VecVirtual { return g })
	update(m, "SGDMomentum", "v = momentum*v + g; w = keep*w - LR*v.", 1, func(r *rule, g VecVirtual) VecVirtual {
		return r.average(0, momentum, g)
	})
	update(m, "SGDNesterov", "v = momentum*v + g; w = keep*w - LR*(g + momentum*v).", 1, func(r *rule, g VecVirtual) VecVirtual {
		return r.mulAdd(r.average(0, momentum, g), r.field(momentum), g)
	})
	update(m, "Adam", "the rule of Adam.", 2, func(r *rule, g VecVirtual) VecVirtual {
		first := r.average(0, momentum, r.mul(g, r.field(newMomentum)))
		second := r.squares(1, g)
		return r.div(first, r.add(r.sqrt(r.mul(second, r.field(correction2))), r.field(epsilon)))
	})
	update(m, "RMSProp", "the rule of RMSProp.", 1, func(r *rule, g VecVirtual) VecVirtual {
		return r.div(g, r.add(r.sqrt(r.squares(0, g)), r.field(epsilon)))
	})
	update(m, "RMSPropMomentum", "the rule of RMSProp with momentum.", 2, func(r *rule, g VecVirtual) VecVirtual {
		return r.average(1, momentum, r.div(g, r.add(r.sqrt(r.squares(0, g)), r.field(epsilon))))
	})
}
