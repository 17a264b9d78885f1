package nn

import "slices"

// Memo keeps what initialisers compute from the training images, which takes longer than drawing numbers, for networks that
// are compiled later with the same images: trainings with several seeds. Its zero value is empty.
type Memo struct{ values map[string][]float32 }

// once fills dst with what fill computed for the key before, or calls fill. A nil Memo always calls fill.
func (m *Memo) once(key string, dst []float32, fill func() error) error {
	if m == nil {
		return fill()
	}
	if known, ok := m.values[key]; ok {
		copy(dst, known)
		return nil
	}
	if err := fill(); err != nil {
		return err
	}
	if m.values == nil {
		m.values = map[string][]float32{}
	}
	m.values[key] = slices.Clone(dst)
	return nil
}
