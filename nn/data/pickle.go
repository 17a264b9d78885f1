package data

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"trainer/nn/bounded"
)

// A pickle is a program for a stack machine, and may name any function of Python to call (pickletools.py in CPython
// describes the operations). unpickle runs no function: it knows the operations that build numbers, texts, lists,
// tuples and dictionaries, and of the functions only those with which NumPy rebuilds arrays, which it replaces with its
// own. Everything else is refused.
//
// The result is made of nil, bool, int64, float64, string (texts and bytes), *pickleList, *pickleDict and *array. Texts
// and arrays share raw's memory.
func unpickle(file string, raw []byte) (any, error) {
	p := &unpickler{file: file, raw: raw, left: bounded.Budget(int64(len(raw)))}
	v, err := p.run()
	if err == nil {
		return v, nil
	}
	if _, ok := errors.AsType[*FormatError](err); ok {
		return nil, err
	}
	return nil, &FormatError{file, int64(p.at), "a pickle of arrays, lists and dictionaries", err.Error()}
}

// pickleList is a list or a tuple.
type pickleList struct{ items []any }

// pickleDict is a dictionary whose keys are texts; other keys are dropped.
type pickleDict struct{ items map[string]any }

// pickleMark is the mark on the stack.
type pickleMark struct{}

// pickleGlobal is the name of a function or type.
type pickleGlobal string

// pickleType is numpy.dtype before its state is set.
type pickleType struct {
	name  string
	order binary.ByteOrder
}

// The functions that are replaced. NumPy 2 renamed its module.
const (
	globalReconstruct = pickleGlobal("numpy.core.multiarray._reconstruct")
	globalArray       = pickleGlobal("numpy.ndarray")
	globalType        = pickleGlobal("numpy.dtype")
	globalFromBuffer  = pickleGlobal("numpy.core.numeric._frombuffer") // protocol 5
	globalEncode      = pickleGlobal("_codecs.encode")                 // bytes, as Python 3 writes them for Python 2
	globalBytes       = pickleGlobal("__builtin__.bytes")              // no bytes, likewise
)

var (
	errPickleStack = errors.New("operations that don't fit what is on the stack")
	errPickleEnd   = errors.New("end of file")
	errPickleLarge = errors.New("more data than 64 MiB and four times the file")
)

type unpickler struct {
	file  string
	raw   []byte
	at    int
	left  int64 // bytes that may still be allocated
	stack []any
	memo  map[int64]any
}

// take accounts for n bytes of memory.
func (p *unpickler) take(n int) error {
	if p.left -= int64(n); p.left < 0 {
		return errPickleLarge
	}
	return nil
}

// next returns the next n bytes.
func (p *unpickler) next(n uint64) ([]byte, error) {
	if n > uint64(len(p.raw)-p.at) {
		return nil, errPickleEnd
	}
	b := p.raw[p.at : p.at+int(n)]
	p.at += int(n)
	return b, nil
}

// line returns the text up to the next line break.
func (p *unpickler) line() (string, error) {
	n := bytes.IndexByte(p.raw[p.at:], '\n')
	if n < 0 {
		return "", errPickleEnd
	}
	text := p.raw[p.at : p.at+n]
	p.at += n + 1
	return string(text), p.take(n)
}

// number returns an unsigned number of size bytes, little endian.
func (p *unpickler) number(size uint64) (uint64, error) {
	b, err := p.next(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// text pushes a text whose length is a number of size bytes.
func (p *unpickler) text(size uint64) error {
	n, err := p.number(size)
	if err != nil {
		return err
	}
	b, err := p.next(n)
	if err != nil {
		return err
	}
	return p.push(sharedText(b))
}

// sharedText is a text in the file's memory.
type sharedText []byte

const slot = 64 // bytes of a value on the stack, in a list, a dictionary or the memo, rounded up

func (p *unpickler) push(v any) error {
	p.stack = append(p.stack, v)
	return p.take(slot)
}

func (p *unpickler) pop() (any, error) {
	if len(p.stack) == 0 {
		return nil, errPickleStack
	}
	v := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	p.left += slot
	return v, nil
}

// popN pops n values, the lowest first.
func (p *unpickler) popN(n int) ([]any, error) {
	if len(p.stack) < n {
		return nil, errPickleStack
	}
	items := cloneValues(p.stack[len(p.stack)-n:])
	p.stack = p.stack[:len(p.stack)-n]
	return items, nil // the slots are now the list's
}

func cloneValues(items []any) []any { return append([]any(nil), items...) }

// popMark pops the values above the last mark, and the mark.
func (p *unpickler) popMark() ([]any, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(pickleMark); ok {
			items, err := p.popN(len(p.stack) - i - 1)
			if err == nil {
				_, err = p.pop()
			}
			return items, err
		}
	}
	return nil, errPickleStack
}

// top returns the value on top of the stack as a T.
func topOf[T any](p *unpickler) (v T, err error) {
	if len(p.stack) == 0 {
		return v, errPickleStack
	}
	v, ok := p.stack[len(p.stack)-1].(T)
	if !ok {
		return v, errPickleStack
	}
	return v, nil
}

// run executes the operations up to the last one.
func (p *unpickler) run() (any, error) {
	p.memo = map[int64]any{}
	for {
		op, err := p.next(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return p.pop()
		}
		if err := p.step(op[0]); err != nil {
			return nil, err
		}
	}
}

// step executes an operation.
func (p *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		_, err := p.next(1)
		return err
	case 0x95: // FRAME
		_, err := p.next(8)
		return err
	case '(':
		return p.push(pickleMark{})
	case '0':
		_, err := p.pop()
		return err
	case '1':
		_, err := p.popMark()
		return err
	case '2':
		v, err := topOf[any](p)
		if err != nil {
			return err
		}
		return p.push(v)
	case 'N', 0x88, 0x89, 'I', 'J', 'K', 'M', 'L', 0x8a, 0x8b, 'F', 'G':
		return p.scalar(op)
	case 'S', 'T', 'U', 'V', 'X', 0x8c, 0x8d, 'B', 'C', 0x8e, 0x96:
		return p.string(op)
	case 'p', 'q', 'r', 0x94, 'g', 'h', 'j':
		return p.remember(op)
	case 'c', 0x93:
		return p.global(op)
	case 'R':
		return p.reduce()
	case 'b':
		return p.build()
	}
	return p.container(op)
}

// scalar pushes a number or a constant.
func (p *unpickler) scalar(op byte) error {
	switch op {
	case 'N':
		return p.push(nil)
	case 0x88, 0x89:
		return p.push(op == 0x88)
	case 'J':
		n, err := p.number(4)
		return orPush(p, int64(int32(n)), err)
	case 'K':
		n, err := p.number(1)
		return orPush(p, int64(n), err)
	case 'M':
		n, err := p.number(2)
		return orPush(p, int64(n), err)
	case 'G':
		b, err := p.next(8)
		if err != nil {
			return err
		}
		return p.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 0x8a, 0x8b:
		size, err := p.number(map[byte]uint64{0x8a: 1, 0x8b: 4}[op])
		if err != nil || size > 8 {
			return cmp.Or(err, errors.New("a whole number of more than 64 bits"))
		}
		b, err := p.next(size)
		return orPush(p, signed(b), err)
	}
	line, err := p.line()
	if err != nil {
		return err
	}
	switch {
	case op == 'F':
		x, err := strconv.ParseFloat(line, 64)
		return orPush(p, x, err)
	case op == 'I' && (line == "00" || line == "01"):
		return p.push(line == "01")
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(line, "L"), 10, 64)
	return orPush(p, n, err)
}

// orPush pushes v unless there is an error.
func orPush[T any](p *unpickler, v T, err error) error {
	if err != nil {
		return err
	}
	return p.push(v)
}

// signed reads a two's complement number, little endian.
func signed(b []byte) int64 {
	var n int64
	for i, x := range b {
		n |= int64(x) << (8 * i)
	}
	if len(b) > 0 && len(b) < 8 && b[len(b)-1] >= 0x80 {
		n -= 1 << (8 * len(b))
	}
	return n
}

// string pushes a text or bytes.
func (p *unpickler) string(op byte) error {
	switch op {
	case 'U', 0x8c, 'C':
		return p.text(1)
	case 'T', 'X', 'B':
		return p.text(4)
	case 0x8d, 0x8e, 0x96:
		return p.text(8)
	}
	line, err := p.line()
	if err != nil {
		return err
	}
	if op == 'S' {
		if len(line) < 2 || line[0] != line[len(line)-1] || strings.Contains(line, `\`) {
			return errors.New("a quoted text with escapes, of protocol 0")
		}
		line = line[1 : len(line)-1]
	}
	return p.push(sharedText(line))
}

// remember puts a value into the memo, or gets it from there.
func (p *unpickler) remember(op byte) error {
	key := int64(len(p.memo))
	switch op {
	case 'p', 'g':
		line, err := p.line()
		if err != nil {
			return err
		}
		if key, err = strconv.ParseInt(line, 10, 64); err != nil {
			return err
		}
	case 'q', 'h', 'r', 'j':
		size := uint64(1)
		if op == 'r' || op == 'j' {
			size = 4
		}
		n, err := p.number(size)
		if err != nil {
			return err
		}
		key = int64(n)
	}
	if op == 'g' || op == 'h' || op == 'j' {
		v, ok := p.memo[key]
		if !ok {
			return errPickleStack
		}
		return p.push(v)
	}
	v, err := topOf[any](p)
	if err != nil {
		return err
	}
	p.memo[key] = v
	return p.take(slot)
}

// container makes and fills lists, tuples and dictionaries.
func (p *unpickler) container(op byte) error {
	switch op {
	case ']', ')':
		return p.push(&pickleList{})
	case '}':
		return p.push(&pickleDict{items: map[string]any{}})
	case 0x85, 0x86, 0x87:
		items, err := p.popN(int(op) - 0x84)
		return orPush(p, &pickleList{items}, err)
	case 'a':
		item, err := p.pop()
		if err != nil {
			return err
		}
		return p.extend([]any{item})
	case 's':
		pair, err := p.popN(2)
		if err != nil {
			return err
		}
		return p.setItems(pair)
	case 'l', 't', 'd', 'e', 'u':
	default:
		return fmt.Errorf("the operation %#02x", op)
	}
	items, err := p.popMark()
	if err != nil {
		return err
	}
	switch op {
	case 'l', 't':
		return p.push(&pickleList{items})
	case 'e':
		return p.extend(items)
	case 'd':
		if err := p.push(&pickleDict{items: map[string]any{}}); err != nil {
			return err
		}
	}
	return p.setItems(items)
}

// extend appends to the list on top of the stack.
func (p *unpickler) extend(items []any) error {
	list, err := topOf[*pickleList](p)
	if err != nil {
		return err
	}
	list.items = append(list.items, items...)
	return p.take(slot * len(items))
}

// setItems sets keys and values of the dictionary on top of the stack.
func (p *unpickler) setItems(pairs []any) error {
	dict, err := topOf[*pickleDict](p)
	if err != nil {
		return err
	}
	if len(pairs)%2 != 0 {
		return errPickleStack
	}
	for i := 0; i < len(pairs); i += 2 {
		if key, ok := pairs[i].(sharedText); ok {
			if err := p.take(len(key) + 2*slot); err != nil {
				return err
			}
			dict.items[string(key)] = pairs[i+1]
		}
	}
	return nil
}

// global pushes the name of a function or a type, if it is a known one.
func (p *unpickler) global(op byte) error {
	var module, name string
	var err error
	if op == 'c' {
		if module, err = p.line(); err == nil {
			name, err = p.line()
		}
	} else {
		var pair []any
		if pair, err = p.popN(2); err == nil {
			m, okM := pair[0].(sharedText)
			n, okN := pair[1].(sharedText)
			if !okM || !okN || len(m)+len(n) > 1<<10 {
				err = errPickleStack
			}
			module, name = string(m), string(n)
		}
	}
	if err != nil {
		return err
	}
	module = strings.Replace(module, "numpy._core.", "numpy.core.", 1)
	switch g := pickleGlobal(module + "." + name); g {
	case globalReconstruct, globalArray, globalType, globalFromBuffer, globalEncode, globalBytes:
		return p.push(g)
	}
	return fmt.Errorf("a call of %.80q: a pickle may run any program, so that only NumPy's arrays are read", module+"."+name)
}

// reduce applies a function to a tuple of arguments.
func (p *unpickler) reduce() error {
	pair, err := p.popN(2)
	if err != nil {
		return err
	}
	f, okF := pair[0].(pickleGlobal)
	args, okArgs := pair[1].(*pickleList)
	if !okF || !okArgs {
		return errPickleStack
	}
	switch {
	case f == globalReconstruct:
		return p.push(&array{file: p.file})
	case f == globalFromBuffer && len(args.items) == 4: // (content, type, shape, order)
		order, ok := args.items[3].(sharedText)
		if !ok {
			return errPickleStack
		}
		a := &array{file: p.file}
		if err := p.buildArray(a, []any{nil, args.items[2], args.items[1], string(order) != "C", args.items[0]}); err != nil {
			return err
		}
		return p.push(a)
	case f == globalType && len(args.items) > 0:
		name, ok := args.items[0].(sharedText)
		if !ok || len(name) > 16 {
			return errPickleStack
		}
		return p.push(&pickleType{name: string(name), order: binary.LittleEndian})
	case f == globalBytes && len(args.items) == 0:
		return p.push(sharedText(nil))
	case f == globalEncode && len(args.items) > 0:
		text, ok := args.items[0].(sharedText)
		if !ok {
			return errPickleStack
		}
		if err := p.take(len(text)); err != nil {
			return err
		}
		return orPushLatin1(p, text)
	}
	return errPickleStack
}

// orPushLatin1 pushes the bytes that a text's characters are.
func orPushLatin1(p *unpickler, text []byte) error {
	out := make([]byte, 0, len(text))
	for _, c := range string(text) {
		if c > 255 {
			return errors.New("bytes with a character above 255")
		}
		out = append(out, byte(c))
	}
	return p.push(sharedText(out))
}

// build sets the state of an array or a type.
func (p *unpickler) build() error {
	v, err := p.pop()
	if err != nil {
		return err
	}
	state, ok := v.(*pickleList)
	if !ok {
		return errPickleStack
	}
	switch object, _ := topOf[any](p); object := object.(type) {
	case *array:
		return p.buildArray(object, state.items)
	case *pickleType: // (version, byte order, ...)
		if len(state.items) < 2 {
			return errPickleStack
		}
		if order, ok := state.items[1].(sharedText); ok && string(order) == ">" {
			object.order = binary.BigEndian
		}
		return nil
	}
	return errPickleStack
}

// buildArray sets an array's state: (version, shape, type, is Fortran, content).
func (p *unpickler) buildArray(a *array, state []any) error {
	if len(state) != 5 {
		return errPickleStack
	}
	shape, okShape := state[1].(*pickleList)
	kind, okKind := state[2].(*pickleType)
	isFortran, okFortran := state[3].(bool)
	content, okContent := state[4].(sharedText)
	if !okShape || !okKind || !okFortran || !okContent || len(shape.items) > 8 {
		return errPickleStack
	}
	if isFortran && len(shape.items) > 1 {
		return errors.New("an array stored by columns")
	}
	element, ok := numpyElement(kind.name)
	if !ok {
		return fmt.Errorf("an array of type %q", kind.name)
	}
	dims := make([]int, len(shape.items))
	for i, d := range shape.items {
		n, ok := d.(int64)
		if !ok || n < 0 || n > math.MaxInt32 {
			return errPickleStack
		}
		dims[i] = int(n)
	}
	n, ok := elements(dims, int64(len(content)))
	if !ok || n*int64(element.size()) != int64(len(content)) {
		return fmt.Errorf("%d bytes for an array of %v", len(content), dims)
	}
	a.dims, a.kind, a.order, a.raw = dims, element, kind.order, content
	return nil
}

// numpyElement returns the type that NumPy abbreviates so: u1, i8, f4.
func numpyElement(name string) (element, bool) {
	e, ok := map[string]element{
		"u1": uint8Element, "b1": uint8Element, "i1": int8Element, "i2": int16Element, "u2": uint16Element,
		"i4": int32Element, "u4": uint32Element, "i8": int64Element, "u8": uint64Element, "f4": float32Element, "f8": float64Element,
	}[name]
	return e, ok
}

// textsOf returns a list of texts.
func textsOf(v any) ([]string, bool) {
	list, ok := v.(*pickleList)
	if !ok {
		return nil, false
	}
	texts := make([]string, len(list.items))
	for i, item := range list.items {
		text, ok := item.(sharedText)
		if !ok {
			return nil, false
		}
		texts[i] = string(text)
	}
	return texts, true
}

// numbersOf returns a list of whole numbers, or an array, as an array of labels.
func numbersOf(file string, v any) (*array, bool) {
	if a, ok := v.(*array); ok {
		return a, true
	}
	list, ok := v.(*pickleList)
	if !ok {
		return nil, false
	}
	raw := make([]byte, 8*len(list.items))
	for i, item := range list.items {
		n, ok := item.(int64)
		if !ok {
			return nil, false
		}
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(n))
	}
	return &array{file: file, dims: []int{len(list.items)}, kind: int64Element, order: binary.LittleEndian, raw: raw}, true
}
