package data

import "context"

// SetKind is a data set that can be named.
type SetKind struct {
	Name       string
	Doc        string // one phrase
	ImageShape [3]int // height, width and channels; zero where only its files tell
	Recipe     string // name of the built-in recipe that trains it unless another one is asked for; may be empty
	// Open reads the data set: from Options.Dir if that has it, otherwise from where it is kept. Errors are those of
	// OpenFrom.
	Open func(ctx context.Context, opt Options) (*Dataset, error)
}

// SetKinds returns the data sets of this package. Each is declared in its own file.
func SetKinds() []SetKind { return setKinds(newCatalog()) }

func setKinds(cat catalog) []SetKind {
	return []SetKind{mnistKind(), fashionKind(cat), cifar10Kind(cat)}
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
