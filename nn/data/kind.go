package data

import "context"

// SetKind is a data set that can be named.
type SetKind struct {
	Name        string
	Doc         string // one phrase
	ImageShape  [3]int // height, width and channels; zero if they depend on the files
	TrainImages int    // number of training images; zero if it depends on the files
	Recipe      string // name of the built-in recipe used by default; may be empty
	// Open reads the data set from Options.Dir if that is given, and otherwise from its usual place. It returns the
	// same errors as OpenFrom.
	Open func(ctx context.Context, opt Options) (*Dataset, error)
}

// SetKinds returns the data sets of this package. Each is declared in its own file.
func SetKinds() []SetKind { return setKinds(newCatalog()) }

func setKinds(cat catalog) []SetKind {
	return []SetKind{mnistKind(), fashionKind(cat), cifar10Kind(cat), cifar100Kind(cat)}
}

// Names returns the names of the data sets of this package.
func Names() []string { return NamesOf(SetKinds()) }

// NamesOf returns the names of data sets.
func NamesOf(kinds []SetKind) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}
