package setting

// Kind is a kind of T that recipes can name: a kind of loss, rule or schedule. Its settings are those of the value that
// New returns.
type Kind[T any] struct {
	Name string   // in recipes
	Doc  string   // one phrase, in lower case
	New  func() T // returns a value with all settings zero
}

// KindNames returns the names of the kinds.
func KindNames[T any](kinds []Kind[T]) []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.Name
	}
	return names
}
