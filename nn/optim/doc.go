// Package optim turns gradients into better weights: update rules, parameter groups,
// learning-rate schedules, gradient clipping, and averages of the weights.
//
// The formulas are here, one file per rule; the device does the arithmetic, either in one fused plan that updates all
// parameters of a rule, or in the small plans that a rule is composed of (see Update). What changes from step to step
// (the learning rate, Adam's corrections, an average's decay) is computed on the host in float64 and uploaded by
// Prepare, so that a recorded step (device.Capturer) sees new values.
//
//	opt, err := optim.New(dev, net.Params(), net.State(),
//		optim.Config{Rule: optim.Adam{}, LR: 1e-3}, optim.Constant{}, total, perEpoch)
//	for step := range total {
//		// forward, loss, backward
//		err := opt.Step(step)
//	}
//
// A group of parameters may have its own rule, such as Muon for filters and SGD for the rest:
//
//	optim.Config{
//		Rule: optim.SGD{Momentum: 0.85, Nesterov: true}, LR: 0.05,
//		Groups: []optim.Group{{Match: "conv*.weight", Rule: optim.Muon{Momentum: 0.6, Nesterov: true}, LR: 0.24}},
//	}
//
// A group may also have its own schedule. A schedule is a function of Progress; one that follows the results on the
// validation set (Plateau) needs each of them passed to AddEvaluation.
package optim
