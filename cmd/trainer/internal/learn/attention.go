package learn

import "trainer/nn/inspect"

// mapInfo belongs to a map of numbers.
type mapInfo struct {
	Rows    int `json:"rows"`
	Columns int `json:"columns"`
	// Of an occlusion: number [i,j] is of the square of Size pixels whose corner is at [i*Stride, j*Stride].
	Size   int `json:"size,omitempty"`
	Stride int `json:"stride,omitempty"`
}

// squaresPerSide is how many squares of an occlusion fit the shorter side of a picture, at most.
const squaresPerSide = 8

// squares returns the size of the squares of an occlusion, a quarter of the picture's shorter side, and their distance.
func squares(height, width int) (size, stride int) {
	side := min(height, width)
	size = max(1, side/4)
	return size, max(1, (side-size+squaresPerSide-2)/(squaresPerSide-1))
}

// attention answers with a map of the picture's pixels that matter for a class.
func (s *Session) attention(body []byte) (*Reply, error) {
	var asked struct {
		Kind  string
		Class int
	}
	if err := decode(body, &asked); err != nil {
		return nil, err
	}
	if err := s.checkClass("class", asked.Class); err != nil {
		return nil, err
	}
	var seen *inspect.Map
	var info mapInfo
	var err error
	switch asked.Kind {
	case "saliency":
		seen, err = s.Saliency(asked.Class)
	case "grad-cam":
		seen, err = s.GradCAM(asked.Class, -1)
	case "occlusion":
		info.Size, info.Stride = squares(s.Input()[0], s.Input()[1])
		seen, err = s.Occlusion(asked.Class, info.Size, info.Stride)
	default:
		return nil, invalid("kind: want saliency, grad-cam or occlusion")
	}
	if err != nil {
		return nil, err
	}
	info.Rows, info.Columns = seen.Rows, seen.Columns
	return arrays(info, seen.Values), nil
}
