package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"trainer/nn/device"
)

// limit bounds the elements of one array, so that a wrong shape is an error and not an allocation of all memory.
const limit = 1 << 28

// array is a named array of a request or an answer.
type array struct {
	Name  string `json:"name"`
	Type  string `json:"type"` // float32 or int32
	Shape []int  `json:"shape"`
	bytes []byte // of the elements, in memory order: the CPU device runs on little-endian machines
}

// dtype returns the type of the elements.
func (a array) dtype() (device.DType, error) {
	switch a.Type {
	case "float32":
		return device.Float32, nil
	case "int32":
		return device.Int32, nil
	}
	return 0, fmt.Errorf("array %s: type %q, want float32 or int32", a.Name, a.Type)
}

// size returns the number of bytes.
func (a array) size() (int, error) {
	dtype, err := a.dtype()
	if err != nil {
		return 0, err
	}
	n := 1
	for _, d := range a.Shape {
		if d < 0 || d > limit/max(n, 1) {
			return 0, fmt.Errorf("array %s: shape %v", a.Name, a.Shape)
		}
		n *= d
	}
	return n * dtype.Size(), nil
}

// request is a line of the input.
type request struct {
	Op     string          `json:"op"`
	Args   json.RawMessage `json:"args"`
	Arrays []array         `json:"arrays"`
}

// answer is a line of the output.
type answer struct {
	Error  string  `json:"error,omitempty"`
	Result any     `json:"result,omitempty"`
	Arrays []array `json:"arrays,omitempty"`
}

// operations are the functions that answer requests.
var operations = map[string]func(*call) error{
	"kinds": kinds, "network": runNetwork, "train": train, "update": update, "schedule": schedule,
	"matmul": matMul, "softmax": softmax, "map": mapElements, "reduce": reduce, "gather": gather, "fused-update": fusedUpdate,
}

// call is a request while it is being answered.
type call struct {
	dev    device.Device
	args   json.RawMessage
	arrays map[string]array
	answer answer
}

// serve answers requests until the end of the input.
func serve(dev device.Device, in io.Reader, out io.Writer) error {
	r, w := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	for {
		line, err := r.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a request: %w", err)
		}
		c := &call{dev: dev, arrays: map[string]array{}}
		var q request
		if err := json.Unmarshal(line, &q); err != nil {
			return fmt.Errorf("reading a request: %w", err)
		}
		if err := c.receive(r, q); err != nil {
			return fmt.Errorf("reading a request: %w", err)
		}
		if err := c.run(q.Op); err != nil {
			c.answer = answer{Error: err.Error()}
		}
		if err := send(w, c.answer); err != nil {
			return fmt.Errorf("writing an answer: %w", err)
		}
	}
}

// receive reads the elements of the arrays.
func (c *call) receive(r io.Reader, q request) error {
	c.args = q.Args
	for _, a := range q.Arrays {
		n, err := a.size()
		if err != nil {
			return err
		}
		a.bytes = make([]byte, n)
		if _, err := io.ReadFull(r, a.bytes); err != nil {
			return err
		}
		c.arrays[a.Name] = a
	}
	return nil
}

// run answers the request. A panic is what a programmer's mistake in the request leads to.
func (c *call) run(op string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	f, ok := operations[op]
	if !ok {
		return fmt.Errorf("unknown operation %q", op)
	}
	if err := f(c); err != nil {
		return err
	}
	return c.dev.Sync()
}

func send(w *bufio.Writer, a answer) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	w.Write(append(line, '\n')) // Flush returns the first error
	for _, x := range a.Arrays {
		w.Write(x.bytes)
	}
	return w.Flush()
}

// decode reads the arguments.
func (c *call) decode(args any) error { return json.Unmarshal(c.args, args) }

// has reports whether the request has the array.
func (c *call) has(name string) bool {
	_, ok := c.arrays[name]
	return ok
}

// tensor uploads an array. An array that is missing is a programmer's mistake.
func (c *call) tensor(name string) (*device.Tensor, error) {
	a, ok := c.arrays[name]
	if !ok {
		return nil, fmt.Errorf("array %s is missing", name)
	}
	dtype, err := a.dtype()
	if err != nil {
		return nil, err
	}
	t, err := c.dev.NewTensor(dtype, a.Shape...)
	if err != nil {
		return nil, err
	}
	return t, c.dev.Upload(t, a.bytes)
}

// optional is tensor, or nil if the request lacks the array.
func (c *call) optional(name string) (*device.Tensor, error) {
	if !c.has(name) {
		return nil, nil
	}
	return c.tensor(name)
}

// result allocates a tensor of NaN, which shows what an operation doesn't write.
func (c *call) result(shape ...int) (*device.Tensor, error) {
	t, err := c.dev.NewTensor(device.Float32, shape...)
	if err != nil {
		return nil, err
	}
	never := make([]float32, t.Len())
	for i := range never {
		never[i] = float32(math.NaN())
	}
	return t, c.dev.Upload(t, device.Bytes(never))
}

// give adds a tensor to the answer.
func (c *call) give(name string, t *device.Tensor) error {
	a := array{Name: name, Type: "float32", Shape: append([]int{}, t.Shape()...), bytes: make([]byte, t.Len()*t.DType().Size())}
	if t.DType() == device.Int32 {
		a.Type = "int32"
	}
	c.answer.Arrays = append(c.answer.Arrays, a)
	return c.dev.Download(a.bytes, t)
}
