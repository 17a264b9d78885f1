package main

import "trainer/nn/device"

// The operations below make one plan of the device and run it once. Their arguments are the fields of the plan's spec.

// matMul answers c = op(a) op(b) (+ bias).
func matMul(c *call) error {
	var s device.MatMulSpec
	if err := c.decode(&s); err != nil {
		return err
	}
	plan, err := c.dev.NewMatMul(s)
	if err != nil {
		return err
	}
	a, err := c.tensor("a")
	if err != nil {
		return err
	}
	b, err := c.tensor("b")
	if err != nil {
		return err
	}
	bias, err := c.optional("bias")
	if err != nil {
		return err
	}
	shape := []int{s.M, s.N}
	if s.Batch > 0 {
		shape = []int{s.Batch, s.M, s.N}
	}
	y, err := c.result(shape...)
	if err != nil {
		return err
	}
	plan.Run(y, a, b, bias)
	return c.give("y", y)
}

// softmax answers the softmax of each row of x.
func softmax(c *call) error {
	x, err := c.tensor("x")
	if err != nil {
		return err
	}
	plan, err := c.dev.NewSoftmax(device.SoftmaxSpec{N: x.Rows(), Classes: x.RowLen()})
	if err != nil {
		return err
	}
	y, err := c.result(x.Shape()...)
	if err != nil {
		return err
	}
	plan.Forward(y, x)
	return c.give("y", y)
}

// mapElements answers an elementwise function of a and perhaps b.
func mapElements(c *call) error {
	var s device.MapSpec
	if err := c.decode(&s); err != nil {
		return err
	}
	plan, err := c.dev.NewMap(s)
	if err != nil {
		return err
	}
	a, err := c.tensor("a")
	if err != nil {
		return err
	}
	b, err := c.optional("b")
	if err != nil {
		return err
	}
	y, err := c.result(a.Shape()...)
	if err != nil {
		return err
	}
	plan.Run(y, a, b)
	return c.give("y", y)
}

// reduce answers a reduction of a.
func reduce(c *call) error {
	var s device.ReduceSpec
	if err := c.decode(&s); err != nil {
		return err
	}
	plan, err := c.dev.NewReduce(s)
	if err != nil {
		return err
	}
	a, err := c.tensor("a")
	if err != nil {
		return err
	}
	y, err := c.result(s.Keep.Len(s.Batch, s.Rows, s.C))
	if err != nil {
		return err
	}
	plan.Run(y, a, nil)
	return c.give("y", y)
}

// gather answers the rows of x that ids name.
func gather(c *call) error {
	x, err := c.tensor("x")
	if err != nil {
		return err
	}
	ids, err := c.tensor("ids")
	if err != nil {
		return err
	}
	plan, err := c.dev.NewGather(device.GatherSpec{Rows: ids.Len(), XRows: x.Rows(), RowLen: x.RowLen()})
	if err != nil {
		return err
	}
	y, err := c.result(ids.Len(), x.RowLen())
	if err != nil {
		return err
	}
	plan.Run(y, x, ids)
	return c.give("y", y)
}

// fusedUpdate runs a fused update rule once, with a row of hyperparameters as given: the rules of package optim compute
// the row from the step. It answers w, state1 and state2.
func fusedUpdate(c *call) error {
	var a struct {
		Kind              device.OptimizerKind
		Nesterov          bool
		Epsilon           float32
		HyperparameterRow []float32
	}
	if err := c.decode(&a); err != nil {
		return err
	}
	var slot device.OptimizerParam
	names := map[string]**device.Tensor{"w": &slot.Value, "g": &slot.Grad, "state1": &slot.State1, "state2": &slot.State2}
	for name, t := range names {
		var err error
		if *t, err = c.optional(name); err != nil {
			return err
		}
	}
	plan, err := c.dev.NewOptimizer(device.OptimizerSpec{Kind: a.Kind, Nesterov: a.Nesterov, Epsilon: a.Epsilon, Slots: []device.OptimizerParam{slot}})
	if err != nil {
		return err
	}
	hyper, err := c.dev.NewTensor(device.Float32, 1, device.HyperLen)
	if err != nil {
		return err
	}
	row := make([]float32, device.HyperLen)
	copy(row, a.HyperparameterRow)
	if err := c.dev.Upload(hyper, device.Bytes(row)); err != nil {
		return err
	}
	plan.Step(hyper)
	for _, name := range []string{"w", "state1", "state2"} {
		if t := *names[name]; t != nil {
			if err := c.give(name, t); err != nil {
				return err
			}
		}
	}
	return nil
}
