// Package inspect shows a network at work on the real engine: every layer's output for one picture, the gradients that
// flow back, where each number came from, and what one step of an optimiser changes.
//
//	s, err := inspect.Open("runs/2026-11-28-mnist-mnist", dev, recipe.BuiltIn())     // or New, for any network
//	defer s.Close()
//	pass, err := s.Forward(pixels)                                 // bytes [h w c]
//	back, err := s.Backward(7)                                     // the label
//	why, err := s.Explain(inspect.Question{Of: inspect.Value, Place: 1, Index: 42})
//	step, err := s.Step(s.Settings(optim.SGD{}, 0.1))
//	pass, back, err = s.Undo()                                     // to the bit
//
// A Session has its own copy of the weights and computes with batches of one picture. The network is compiled without
// fusing layers, and a probe after each layer keeps its output and the gradient with respect to it.
//
// # Places
//
// A Place is where values are: the input, the output of each layer (also of the layers inside residual, concat and other
// containers), the probabilities, and the loss. Places are numbered in the order in which they are computed. The values of
// a place are float32, [h w c] or [features], with the last index running fastest.
//
// # Mode
//
// All passes, forward and backward, compute the network as it answers pictures (nn.Inference): batch normalisation uses its
// running statistics, and dropout does nothing. So the gradients are those of the very function whose values are shown;
// statistics of a batch of one picture would make another function of it. The gradients equal those of a training step in
// which the normalisations are frozen and the dropout rates are 0. A layer of another package that contains layers is one
// place; what it contains is computed as it builds it.
//
// A Session may be used from several goroutines; its methods run one after the other.
package inspect
