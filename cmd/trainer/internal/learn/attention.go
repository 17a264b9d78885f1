package learn

import "trainer/nn/inspect"

// mapInfo belongs to a map of numbers.
type mapInfo struct {
	Rows    int `json:"rows"`
	Columns int `json:"columns"`
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
	var err error
	switch asked.Kind {
	case "saliency":
		seen, err = s.Saliency(asked.Class)
	case "grad-cam":
		seen, err = s.GradCAM(asked.Class, -1)
	default:
		return nil, invalid("kind: want saliency or grad-cam")
	}
	if err != nil {
		return nil, err
	}
	return arrays(mapInfo{seen.Rows, seen.Columns}, seen.Values), nil
}
