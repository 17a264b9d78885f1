package nn

import "trainer/nn/device"

// head is a network's last layer together with its loss, where that layer is dense and the device computes them in one pass
// (device.FusedDense).
type head struct {
	layer *dense
	plan  device.DenseLoss
}

// buildHead returns the head, or nil if the network ends with another layer, or the device or the loss lacks this form.
func (n *Network) buildHead() (*head, error) {
	loss, plain := n.loss.(*fusedLoss)
	chain, chained := n.root.(*sequential)
	if !plain || !chained {
		return nil, nil
	}
	last, ok := chain.units[len(chain.units)-1].(*dense)
	if !ok || last.gradients == nil {
		return nil, nil
	}
	plan, err := n.dev.(device.FusedDense).NewDenseLoss(last.fused, loss.spec)
	if err != nil {
		if declined(err) {
			return nil, nil
		}
		return nil, err
	}
	return &head{last, plan}, nil
}

// run queues the forward pass of the network in Training, its loss, and the gradient dy with respect to its outputs.
func (h *head) run(n *Network, dy, x, targets *device.Tensor) {
	h.layer.withLoss = true
	y := n.forward(x, Training)
	h.layer.withLoss = false
	h.plan.Run(n.lossStats(), dy, y, h.layer.x, h.layer.w.ComputeCopy, h.layer.bias.Value, targets)
}
