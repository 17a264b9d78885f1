package main

import (
	"bytes"
	_ "embed"
	"go/format"
	"os"
	"strings"
	"text/template"

	. "github.com/mmcloughlin/avo/reg"
)

// activation is an elementwise function as the CPU computes it: in Go, and in terms of a machine, which gives a kernel
// for each instruction set. The Go loop is what defines it: kernels are tested against it.
type activation struct {
	name string // of nn's device.Function

	// Go statements: the first sets y[i] from v, which is x[i], the second dx[i] from v and dy[i]. Each function has
	// loops of its own, because a call of a function value for each element takes 2.3 times as long.
	goForward, goBackward string

	// The kernels' formulas, and what they keep in registers.
	forward  func(m *machine) func(x VecVirtual) VecVirtual
	backward func(m *machine) func(dy, x VecVirtual) VecVirtual
}

// Symbol is the function's part of the kernels' names: LeakyRelu.
func (a activation) Symbol() string {
	var s strings.Builder
	for word := range strings.SplitSeq(a.name, "-") {
		s.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return s.String()
}

// Loop is the name of the Go loops: leakyRelu.
func (a activation) Loop() string {
	s := a.Symbol()
	return strings.ToLower(s[:1]) + s[1:]
}

// Name, GoForward and GoBackward are for the template.
func (a activation) Name() string       { return a.name }
func (a activation) GoForward() string  { return a.goForward }
func (a activation) GoBackward() string { return a.goBackward }

// emit writes the kernels y = f(x) and dx = dy f'(x).
func (a activation) emit(m *machine) {
	m.text(a.Symbol()+"Forward", "y, x *float32, n int, alpha float32", "y = f(x), f being "+a.name+".")
	{
		y, x, n := pointer("y"), pointer("x"), pointer("n")
		f := a.forward(m)
		m.walk(n, false, func(i Register) { m.store(f(m.load(element(x, i))), element(y, i)) })
	}
	m.end()
	m.text(a.Symbol()+"Backward", "dx, dy, x *float32, n int, alpha float32", "dx = dy f'(x), f being "+a.name+".")
	{
		dx, dy, x, n := pointer("dx"), pointer("dy"), pointer("x"), pointer("n")
		g := a.backward(m)
		m.walk(n, false, func(i Register) {
			m.store(g(m.load(element(dy, i)), m.load(element(x, i))), element(dx, i))
		})
	}
	m.end()
}

//go:embed loops.tmpl
var loops string

//go:embed tables.tmpl
var tablesOfKernels string

// writeGo writes a Go file made of all activations.
func writeGo(path, text string) error {
	var b bytes.Buffer
	if err := template.Must(template.New(path).Parse(text)).Execute(&b, activations()); err != nil {
		return err
	}
	formatted, err := format.Source(b.Bytes())
	if err != nil {
		return err
	}
	return os.WriteFile(path, formatted, 0o666)
}
