package nn

// Constant fills with one value.
type Constant struct{ Value float32 }

// Zeros fills with 0.
func Zeros() Constant { return Constant{0} }

// Ones fills with 1.
func Ones() Constant { return Constant{1} }

// Fill writes the value everywhere.
func (i Constant) Fill(dst []float32, _ InitContext) error {
	for k := range dst {
		dst[k] = i.Value
	}
	return nil
}
