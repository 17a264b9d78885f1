// Package optim turns gradients into better weights: update rules, parameter groups,
// learning-rate schedules, gradient clipping, and averages of the weights.
//
// The formulas are here, one file an algorithm; the arithmetic is the device's, which runs
// an update rule over all parameters in one plan. What changes from step to step (the
// learning rate, Adam's corrections, an average's decay) is computed on the host in float64
// and uploaded by Prepare, so that a recorded step (device.Capturer) sees new values.
//
//	opt, err := optim.New(dev, net.Params(), net.State(),
//		optim.Config{Algorithm: "adam", LR: 1e-3}, optim.Constant{}, total, perEpoch)
//	for step := range total {
//		// forward, loss, backward
//		err := opt.Step(step)
//	}
package optim
