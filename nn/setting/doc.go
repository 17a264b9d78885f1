// Package setting declares the settings of a value: a layer, a loss, an update rule.
//
// A type declares its settings once, in the method Settings, which binds fields as package
// flag binds variables:
//
//	func (l *BatchNorm) Settings(s *setting.List) {
//		s.Float32(&l.Epsilon, "epsilon", 1e-5, setting.Positive, "added to the variance")
//		s.Float32(&l.Momentum, "momentum", 0.1, setting.AboveZeroToOne, "weight of the new batch in the running statistics")
//		s.Bool(&l.FrozenScale, "frozen-scale", "keep the scale at 1")
//	}
//
// Everything else follows from these lines: package recipe reads the keys from a table of a recipe
// ([Setting.Set]); a Go program that leaves fields zero gets the defaults ([Complete]); both are
// checked against the same bounds ([Check]); and lists, error messages and figures describe the
// settings ([List.All], [Shown]).
//
// In a Go value zero means the default. A default other than zero therefore needs bounds that
// exclude zero, which List enforces.
//
// A kind of value that recipes can name is a [Kind]. Kinds stand in lists that a program passes
// on, so that a program can append its own.
package setting
