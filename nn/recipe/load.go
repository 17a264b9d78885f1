package recipe

import (
	"embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed recipes/*.toml
var builtIn embed.FS

// Names returns the names of the built-in recipes, sorted.
func Names() []string {
	files, err := builtIn.ReadDir("recipes")
	if err != nil {
		panic("recipe: " + err.Error()) // the folder is part of the program
	}
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".toml"))
	}
	slices.Sort(names)
	return names
}

// NamesForDataSets returns the names of the built-in recipes that are meant for a named data set, sorted. The other recipes
// are only for folders of pictures, whose sizes vary: benchmarks and tests that train every recipe on images of its data
// set leave them out.
func NamesForDataSets() []string {
	return slices.DeleteFunc(Names(), func(name string) bool {
		r, err := Load(name)
		if err != nil {
			panic("recipe: " + err.Error()) // built-in recipes are checked by tests
		}
		return r.OnlyForFolders()
	})
}

// Source returns the text of a built-in recipe.
func Source(name string) ([]byte, error) {
	text, err := builtIn.ReadFile("recipes/" + name + ".toml")
	if err != nil {
		return nil, unknown(name)
	}
	return text, nil
}

// NotFoundError reports the name of a recipe that is neither built in nor a file.
type NotFoundError struct{ Name string }

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("unknown recipe %q%s, or the path of a .toml file", e.Name, Suggest(e.Name, Names()))
}

func unknown(name string) error { return &NotFoundError{Name: name} }

// Load reads a recipe of the built-in kinds: see [Kinds.Load].
func Load(nameOrPath string) (*Recipe, error) { return BuiltIn().Load(nameOrPath) }

// LoadWith reads a recipe of the built-in kinds with changes: see [Kinds.Load].
func LoadWith(nameOrPath string, changes []string) (*Recipe, error) {
	return BuiltIn().Load(nameOrPath, changes...)
}

// Parse reads a recipe of the built-in kinds from text: see [Kinds.Parse].
func Parse(file string, text []byte) (*Recipe, error) { return BuiltIn().Parse(file, text) }

// Load reads a recipe: a built-in one by its name, or a file. Mistakes in it are an Errors.
//
// Load applies the changes before it checks the recipe. Each change is "key=value", where the key
// is a path such as "optimizer.momentum" or "network.0.out", and the value has TOML's syntax or
// is a plain string. An empty value removes the key.
func (k Kinds) Load(nameOrPath string, changes ...string) (*Recipe, error) {
	file, text, err := read(nameOrPath)
	if err != nil {
		return nil, err
	}
	return k.Parse(file, text, changes...)
}

// Parse reads a recipe from text, and changes it as Load does. file is the name shown in errors.
func (k Kinds) Parse(file string, text []byte, changes ...string) (*Recipe, error) {
	if err := checkLimits(file, text); err != nil {
		return nil, err
	}
	d, err := parseDocument(file, text)
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := d.set(c); err != nil {
			return nil, err
		}
	}
	return k.parse(d)
}

// read finds the text of a recipe. A built-in name wins over a file of that name.
func read(nameOrPath string) (file string, text []byte, err error) {
	if slices.Contains(Names(), nameOrPath) {
		text, err = Source(nameOrPath)
		return nameOrPath + ".toml", text, err
	}
	text, err = readFile(nameOrPath)
	if err == nil {
		return nameOrPath, text, nil
	}
	if _, ok := errors.AsType[Errors](err); ok {
		return "", nil, err
	}
	isPath := filepath.Ext(nameOrPath) == ".toml" || strings.ContainsRune(nameOrPath, filepath.Separator)
	if os.IsNotExist(err) && !isPath {
		return "", nil, unknown(nameOrPath)
	}
	return "", nil, fmt.Errorf("reading the recipe: %w", err)
}

// With returns the recipe with changes, as Kinds.Load makes them.
func (r *Recipe) With(changes ...string) (*Recipe, error) {
	d, err := r.copyDocument()
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		if err := d.set(c); err != nil {
			return nil, err
		}
	}
	return r.kinds.parse(d)
}

// with returns the recipe after a change of its document.
func (r *Recipe) with(change func(*document)) (*Recipe, error) {
	d, err := r.copyDocument()
	if err != nil {
		return nil, err
	}
	change(d)
	return r.kinds.parse(d)
}

// copyDocument returns a copy of the document, whose values come from the same lines.
func (r *Recipe) copyDocument() (*document, error) {
	text, err := r.TOML()
	if err != nil {
		return nil, err
	}
	d, err := parseDocument(r.doc.file, text)
	if err == nil {
		d.origin = maps.Clone(r.doc.origin)
	}
	return d, err
}
