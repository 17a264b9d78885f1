package inspect

// Map is an image of one number per pixel.
type Map struct {
	Rows    int       `json:"rows"`
	Columns int       `json:"columns"`
	Values  []float32 `json:"values"` // [rows columns]
}

// Saliency returns, for each pixel of the last Forward, the largest absolute value over its channels of the gradient of the
// class's output with respect to the normalised picture (Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional
// Networks", 2014, section 3).
func (s *Session) Saliency(class int) (*Map, error) { return nil, errUnfinished }

// GradCAM returns where the evidence for a class is in the values of a place that is an image (Selvaraju et al., "Grad-CAM:
// Visual Explanations from Deep Networks via Gradient-based Localization", 2017, equations 1 and 2): with y the class's
// output,
//
//	alpha[k] = 1/(h w) sum_{i,j} dy/dA[i,j,k]        map[i,j] = max(0, sum_k alpha[k] A[i,j,k])
//
// The map has the size of the place's image. place -1 chooses the last convolution.
func (s *Session) GradCAM(class, place int) (*Map, error) { return nil, errUnfinished }

// Occlusion returns how much the probability of a class falls if a part of the picture of the last Forward is hidden (Zeiler
// and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2): squares of the given size are set
// to the picture's mean value per channel, one after the other, stride pixels apart. The map has one value per square.
func (s *Session) Occlusion(class, size, stride int) (*Map, error) { return nil, errUnfinished }
