package inspect

// Pass is the forward pass of one picture.
type Pass struct {
	// Pixels is the picture before the normalisation, [h w c]; nil after ForwardValues.
	Pixels []byte `json:"-"`
	// Values holds the values of each place; Values[0] is the normalised picture. The loss, whose value needs a label, has
	// none. The slices belong to the caller.
	Values [][]float32 `json:"-"`
	// Answer holds the probability of each class at the model's temperature, as predictions have it.
	Answer []float64 `json:"answer"`
}

// Forward computes all values for a picture of bytes, [h w c].
func (s *Session) Forward(pixels []byte) (*Pass, error) { return nil, errUnfinished }

// ForwardValues is Forward for a picture that is normalised already.
func (s *Session) ForwardValues(x []float32) (*Pass, error) { return nil, errUnfinished }

// Gradients is the backward pass of the last Forward.
type Gradients struct {
	Label int     `json:"label"`
	Loss  float64 `json:"loss"`
	// Values holds the gradient of the loss with respect to the values of each place. The probabilities have none, because
	// the gradient at the outputs is computed in one go, and that of the loss is 1.
	Values [][]float32 `json:"-"`
	// Weights holds the gradient with respect to each trained parameter, by its name.
	Weights map[string][]float32 `json:"-"`
}

// Backward computes the gradients for a label, a class from 0.
func (s *Session) Backward(label int) (*Gradients, error) { return nil, errUnfinished }
