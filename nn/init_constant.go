package nn

import "trainer/nn/setting"

// Constant sets every element to one value.
type Constant struct{ Value float32 }

// Zeros sets every element to 0.
func Zeros() Constant { return Constant{0} }

// Ones sets every element to 1.
func Ones() Constant { return Constant{1} }

func constantKind() InitializerKind {
	return InitializerKind{Name: "constant", Doc: "one value", New: func() Initializer { return Constant{} }}
}

// Settings declares the keys of recipes.
func (i *Constant) Settings(s *setting.List) {
	s.Float32(&i.Value, "value", 0, setting.AnyNumber, "the value").Require()
}

// Fill writes the value everywhere.
func (i Constant) Fill(dst []float32, _ InitContext) error {
	for k := range dst {
		dst[k] = i.Value
	}
	return nil
}
