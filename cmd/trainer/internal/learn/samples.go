package learn

import "trainer/nn/data"

// SampleList is a part of the pictures to choose from.
type SampleList struct {
	Total  int     `json:"total"`
	Labels []int32 `json:"labels"`
	Pixels []byte  `json:"pixels"` // [n h w c]
}

// MaxSamples is the number of samples in a list.
const MaxSamples = 100

// Samples lists the pictures from, from+1, ..., at most count. The error for numbers that are out of range is an *Error.
func Samples(set data.Set, from, count int) (*SampleList, error) {
	if from < 0 || count < 1 || count > MaxSamples {
		return nil, invalid("want from, a number from 0, and count, a number from 1 to %d", MaxSamples)
	}
	h, w, c := set.ImageShape()
	list := &SampleList{Total: set.Len(), Labels: []int32{}}
	for i := from; i < min(from+count, set.Len()); i++ {
		pixels := make([]byte, h*w*c)
		label, err := set.Read(i, pixels)
		if err != nil {
			return nil, err
		}
		list.Labels, list.Pixels = append(list.Labels, label), append(list.Pixels, pixels...)
	}
	return list, nil
}
